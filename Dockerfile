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
RUN npm run build && npm prune --omit=dev --no-audit --no-fund
# `npm sbom --omit=dev` leaves out what a tool of development needs, too: 16 packages of 198. So it reads a lock without those tools.
RUN mkdir /lock && cp package.json package-lock.json /lock && cd /lock \
 && npm pkg delete devDependencies && npm install --package-lock-only --prefer-offline --no-audit --no-fund >/dev/null \
 && npm sbom --package-lock-only --sbom-format=cyclonedx >/npm.cdx.json
# Licences stay; what only people, compilers and a package's own tests read goes, and what is built for another libc.
RUN find node_modules -type d -path '*node_modules/*/*' ! -path '*/dist/*' ! -path '*/lib/*' \( -name test -o -name bench -o -name benchmark -o -name benchmarks -o -name example -o -name examples \) \
    -exec test -e '{}/../package.json' \; -prune -exec rm -r '{}' + \
 && rm -rf node_modules/@koromix/koffi-*/musl_* \
 && find node_modules -type f \( -name '*.map' -o -name '*.ts' -o -name '*.mts' -o -name '*.cts' -o -iname '*.md' -o -name '*.c' -o -name '*.cc' -o -name '*.h' -o -name '*.bare' \) \
    ! -iname 'licen[cs]e*' ! -iname 'notice*' -delete

FROM ${BASE} AS pieces
# BLAKE3 of the pieces of a disk: its reference C, as Debian has it, and ours that fills the lanes of the processor with pieces.
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends gcc libc6-dev librust-blake3-dev make
WORKDIR /target
COPY target/Makefile ./
COPY target/src/pieces.c target/src/pieces.h src/
RUN make --silent build/libpieces.so && strip --strip-unneeded build/libpieces.so

FROM ${BASE} AS root
# postgresql and redis-server: the embedded database and the replica. libsodium23: tags of the stream. ipxe: the boot files. qemu-utils: qemu-img, by which
# images of other programs come in. grub-common: grub-fstest, by which kernel and initrd come out of an image.
RUN mkdir -p /etc/postgresql-common && echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends binutils grub-common ipxe libsodium23 postgresql-15 qemu-utils redis-server \
 && groupadd --gid 65532 bootfarm \
 && useradd --uid 65532 --gid 65532 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin bootfarm \
 && strip /usr/local/bin/node
# What serves nobody here: PostgreSQL's compiler of queries with its LLVM, Debian's scripts around its clusters with their Perl, installers, locales,
# manuals, caches, npm. Packages are purged and not only deleted, so that a scanner reads the truth.
RUN dpkg --purge --force-depends binutils binutils-common binutils-x86-64-linux-gnu libbinutils libctf0 libctf-nobfd0 libgprofng0 libjansson4 \
      libllvm14 libz3-4 libperl5.36 perl perl-modules-5.36 libgdbm-compat4 locales libc-l10n postgresql-common postgresql-client-common ssl-cert adduser apt >/dev/null 2>&1 \
 && dpkg --purge --force-depends --force-remove-essential debconf perl-base libapt-pkg6.0 gpgv debian-archive-keyring login passwd e2fsprogs logsave \
      libext2fs2 libss2 mount libdb5.3 gettext-base libefiboot1 libefivar1 libfreetype6 libfuse2 libpng16-16 >/dev/null 2>&1 \
 && cd /usr/lib/ipxe && find . ! -type d ! -name undionly.kpxe ! -name snponly.efi -delete \
 && find /usr/bin /usr/sbin -name 'grub-*' ! -name grub-fstest -delete && rm -rf /etc/grub.d /usr/share/grub /usr/lib/grub \
 && ln -sf redis-check-rdb /usr/bin/redis-check-aof && rm -f /usr/bin/redis-benchmark /usr/bin/qemu-io /usr/bin/qemu-nbd \
 && find /usr/share/doc -type f ! -name copyright -delete \
 && rm -rf /boot/* /opt/yarn* /usr/lib/postgresql/15/lib/bitcode /usr/lib/postgresql/15/lib/llvmjit* /usr/lib/x86_64-linux-gnu/gconv /usr/local/include \
      /usr/local/lib/node_modules /usr/local/share /usr/share/i18n /usr/share/info /usr/share/locale /usr/share/man /usr/share/perl* /var/cache/* \
      /var/lib/apt /var/log/* /root/.npm /tmp/* \
 && find /usr/local/bin -type l -delete \
 && for tool in psql pg_dump pg_restore; do ln -sf /usr/lib/postgresql/15/bin/$tool /usr/bin/$tool; done \
 && dpkg-query -W -f '${Package}\t${Version}\t${Architecture}\n' >/debian.tsv

FROM build AS sbom
COPY test/setup/sbom.ts /
COPY --from=root /debian.tsv /
RUN node /sbom.ts /npm.cdx.json /debian.tsv dist/console/licenses.md >/sbom.cdx.json

FROM scratch
COPY --from=root / /
WORKDIR /app
COPY --from=sbom /sbom.cdx.json /usr/share/bootfarm/
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY --from=pieces /target/build/libpieces.so target/build/
COPY package.json LICENSE NOTICE ./
# For people: kubectl exec … -- bootfarm device list.
RUN ln -s /app/dist/main.js /usr/local/bin/bootfarm
ENV NODE_ENV=production PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
USER 65532:65532
ENTRYPOINT ["bootfarm"]
CMD ["--help"]
