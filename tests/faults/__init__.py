"""The fault matrix: real gateway processes, real upstreams, a real Redis, and OpenAI's own client in front."""
