"""The front end in a browser, on a live ComfyUI. A package, so that its browser is closed after its tests."""
