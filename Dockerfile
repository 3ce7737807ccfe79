# The platform: worker, adapters and the one-shot jobs of docker-compose.yml. Only hashed dependencies, no root.
FROM python:3.11-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONPATH=/app
WORKDIR /app

COPY requirements.lock .
RUN pip install --no-cache-dir --require-hashes -r requirements.lock

COPY schemas schemas
COPY connectors connectors
COPY streams streams
COPY stack stack
# The console script of pyproject.toml, without a build step that would fetch unpinned tools.
RUN printf '#!/usr/local/bin/python\nfrom streams.cli.main import main\n\nmain()\n' > /usr/local/bin/concord \
    && chmod 755 /usr/local/bin/concord \
    && useradd --system --uid 10001 concord \
    && install --directory --owner=concord /data /reference

USER concord
ENTRYPOINT ["concord"]
