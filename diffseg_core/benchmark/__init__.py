"""How well a model segments ten bundled photographs, and which settings suit it."""
