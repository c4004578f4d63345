"""The library's host: attention of diffusers pipelines."""
