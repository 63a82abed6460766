# docker build -t tfvideogan . && docker run --rm -v "$PWD/runs:/runs" tfvideogan train --flagfile=configs/quickstart.flags --workdir=/runs/quickstart
# For GPUs: docker build --build-arg EXTRA=[and-cuda] -t tfvideogan:gpu . && docker run --gpus all ...
FROM python:3.11-slim
ARG EXTRA=
WORKDIR /src
COPY . .
RUN pip install --no-cache-dir "tensorflow${EXTRA}>=2.16,<2.22" . \
    && useradd --create-home --uid 1000 user \
    && mkdir /runs \
    && chown user /runs
USER 1000
WORKDIR /home/user
ENTRYPOINT ["tfvideogan"]
CMD ["list", "models"]
