"""Developer tools: set-up, a headless ComfyUI, the demo. Not part of the node pack."""
