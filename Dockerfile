# A CPU image of the checkout, with the pinned versions. docs/install.md describes its build; the default command is
# README's first. Results lie in /home/aero/outputs: mount a folder there.
FROM python:3.11-slim

RUN apt-get update && apt-get install --yes --no-install-recommends make && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home aero && mkdir -p /home/aero/outputs && chown aero /home/aero /home/aero/outputs

WORKDIR /opt/aero-search
COPY pyproject.toml constraints.txt README.md LICENSE Makefile ./
COPY aero_search aero_search
COPY hydra_plugins hydra_plugins
COPY conf conf
COPY search_spaces search_spaces
# --build-arg TORCH_INDEX=ADDRESS: an index of CPU builds of torch; those of the default one bring CUDA along.
ARG TORCH_INDEX=""
RUN PIP_EXTRA_INDEX_URL=$TORCH_INDEX make install && rm -rf /root/.cache

ENV PATH=/opt/aero-search/.venv/bin:$PATH OMP_NUM_THREADS=1 PYTHONUNBUFFERED=1
USER aero
WORKDIR /home/aero
VOLUME /home/aero/outputs
ENTRYPOINT ["aero-search"]
CMD ["search"]
