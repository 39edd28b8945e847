"""OpenAI's wire format on the way out to an expert and back.

Shared by every engine that speaks it: remote URLs and vLLM pools. What comes back is data that
somebody else wrote: here, and nowhere behind, it becomes a `Chunk` or an error of the expert's.
"""
