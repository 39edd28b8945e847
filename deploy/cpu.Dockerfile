# Motet for machines without a GPU, with the shipped fleet. From the root of the repository:
#   docker build -f deploy/cpu.Dockerfile -t motet:cpu .
FROM python:3.11-slim

# wget is what KubeRay's probes call; the compiler is for what torch builds on a CPU.
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ libnuma1 wget \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 1000 --create-home motet

WORKDIR /srv/motet
COPY pyproject.toml README.md LICENSE ./
COPY constraints constraints
COPY src src
# Builds of torchvision, torchaudio and torchcodec for GPUs break transformers beside a CPU torch.
RUN pip install --no-cache-dir -c constraints/cpu.txt ".[serve,cpu,learned]" \
 && pip uninstall -y torchvision torchaudio torchcodec

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
