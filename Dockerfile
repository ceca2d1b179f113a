# One image for the API, the workers and `prepare`; what it runs is the container's command.
FROM python:3.13-slim AS packages
WORKDIR /app
COPY requirements.lock ./
RUN sed -n '/^uv==/,/[^\\]$/p' requirements.lock > uv.lock \
    && pip install --no-cache-dir --no-deps --require-hashes -r uv.lock \
    && uv venv /app/.venv \
    && uv pip sync --no-cache --python /app/.venv/bin/python --require-hashes requirements.lock

FROM python:3.13-slim
RUN useradd --create-home --uid 10001 tooloo && install -d -o tooloo /var/lib/tooloo
WORKDIR /app
COPY --from=packages /app/.venv /app/.venv
COPY . .
ENV PATH=/app/.venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 TOOLOO_HOME=/var/lib/tooloo
USER tooloo
VOLUME /var/lib/tooloo
CMD ["python", "-m", "api"]
