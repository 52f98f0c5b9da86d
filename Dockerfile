# One image for every part of bootfarm; the role is an argument: operator, server, device, … The database and the Redis of a farm run from it too.
# Where no registry is reachable: --build-arg BASE=<an image with Debian 12, Node 24 and npm> (test/setup/image.sh makes one).
ARG BASE=node:24-bookworm-slim

FROM ${BASE} AS build
# For networks that look into TLS: a file of further authorities, seen by npm in this stage alone.
ARG NODE_EXTRA_CA_CERTS
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build && chmod +x dist/main.js && npm prune --omit=dev --no-audit --no-fund

FROM ${BASE}
# postgresql and redis-server: the embedded database and the replica. libsodium23: tags of the stream. ipxe: the boot files.
RUN mkdir -p /etc/postgresql-common && echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ipxe libsodium23 postgresql-15 redis-server \
 && groupadd --gid 65532 bootfarm \
 && useradd --uid 65532 --gid 65532 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin bootfarm \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json LICENSE NOTICE ./
# For people: kubectl exec … -- bootfarm device list.
RUN ln -s /app/dist/main.js /usr/local/bin/bootfarm
ENV NODE_ENV=production
USER 65532:65532
ENTRYPOINT ["node", "--enable-source-maps", "/app/dist/main.js"]
CMD ["--help"]
