# Build: docker build -t paretogate .            the gateway alone, without torch
#        docker build --build-arg EXTRAS=offline -t paretogate .   with train, evaluate and route too
#        docker build --build-arg EXTRAS=gpu -t paretogate:gpu .   with torch and CUDA (several GB), for a predictor on a GPU
# Run:   docker run --read-only --tmpfs /tmp -p 127.0.0.1:8080:8080 -v ./config:/etc/paretogate:ro paretogate
# Inside, it listens on every address of the container, so the command says --insecure: who may reach it is decided by what
# `-p` publishes. Before you publish it to others, configure `keys` (config/keys.yaml); they are asked for all the same.
FROM python:3.12-slim-bookworm AS build
# Extras of pyproject.toml, with commas between them.
ARG EXTRAS=
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY gateway gateway
COPY predictors predictors
RUN python -m venv /opt/paretogate \
    && /opt/paretogate/bin/pip install --no-cache-dir --disable-pip-version-check ".${EXTRAS:+[$EXTRAS]}"

FROM python:3.12-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin paretogate
COPY --from=build /opt/paretogate /opt/paretogate
COPY config/gateway.yaml /etc/paretogate/gateway.yaml
ENV PATH=/opt/paretogate/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /tmp
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/readyz', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["paretogate"]
CMD ["serve", "--config", "/etc/paretogate/gateway.yaml", "--host", "0.0.0.0", "--port", "8080", "--insecure"]
