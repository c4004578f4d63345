"""How the demo model was made. Not part of what users install."""
