# The sidecar's image:
#
#   docker build -t outrigger .                    Node
#   docker build -t outrigger --target bun .       Bun
#
# Used like daprio/daprd: the same arguments, with or without /daprd in front of them. Runs as user 65532, with a read-only
# root file system too; only a state store on disk needs a place to write (OUTRIGGER_DATA).

FROM node:26.10.0-alpine3.22 AS build
WORKDIR /src
COPY package.json package-lock.json ./
# install, not ci: the lock file names the packages of one platform only. Without install scripts the runtimes of the
# development dependencies are not downloaded.
RUN npm install --no-save --ignore-scripts --no-audit --no-fund
COPY scripts/build.mjs scripts/
COPY deploy/worker deploy/worker
COPY src src
RUN node scripts/build.mjs

FROM alpine:3.22 AS files
COPY --from=build /src/dist /outrigger/dist
COPY deploy/image/daprd /daprd
RUN rm -rf /outrigger/dist/worker /outrigger/dist/worker.js /outrigger/dist/resources.yaml && chmod -R a+rX,go-w /outrigger && chmod 755 /daprd

FROM oven/bun:1.4.5-alpine AS bun
COPY --from=files /outrigger /outrigger
COPY --from=files /daprd /daprd
ENV OUTRIGGER_RUNTIME=bun HOME=/tmp
WORKDIR /
USER 65532:65532
EXPOSE 3500 50001 50002 9090
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD wget -q -O /dev/null "http://127.0.0.1:${DAPR_HTTP_PORT:-3500}/v1.0/healthz/outbound" || exit 1
ENTRYPOINT ["/daprd"]

FROM node:26.10.0-alpine3.22 AS node
COPY --from=files /outrigger /outrigger
COPY --from=files /daprd /daprd
# compiled code of the files, so that a start does not compile them again; read only at run time
ENV NODE_COMPILE_CACHE=/outrigger/cache
RUN node /outrigger/dist/node.js --version && (node /outrigger/dist/node.js --app-id warm & pid=$!; sleep 2; kill -INT $pid; wait $pid) && chmod -R a+rX,go-w /outrigger
ENV OUTRIGGER_RUNTIME=node HOME=/tmp
WORKDIR /
USER 65532:65532
EXPOSE 3500 50001 50002 9090
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD wget -q -O /dev/null "http://127.0.0.1:${DAPR_HTTP_PORT:-3500}/v1.0/healthz/outbound" || exit 1
ENTRYPOINT ["/daprd"]
