# Motet for machines with NVIDIA GPUs. From the root of the repository:
#   docker build -f deploy/gpu.Dockerfile -t motet:gpu .
# The wheels of torch and vLLM bring CUDA's libraries; the machine brings the driver, and its
# container runtime hands the GPUs in.
FROM python:3.11-slim

# wget is what KubeRay's probes call; the compiler is what Triton builds kernels with.
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ wget \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 1000 --create-home motet

WORKDIR /srv/motet
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir ".[serve,vllm,learned]"

COPY experts.yaml ./
COPY templates templates
COPY examples/fleet examples/fleet

ENV MOTET_CACHE=/var/cache/motet \
    MOTET_STATE=/var/lib/motet \
    RAY_SERVE_THROUGHPUT_OPTIMIZED=1 \
    RAY_SERVE_ENABLE_HA_PROXY=1
RUN mkdir -p "$MOTET_CACHE" "$MOTET_STATE" && chown motet "$MOTET_CACHE" "$MOTET_STATE"
USER 1000
EXPOSE 8000
CMD ["motet", "serve", "experts.yaml"]
