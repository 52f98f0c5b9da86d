/**
 * What the image is made of, as one CycloneDX 1.5 document: `sbom.ts NPM.cdx.json DEBIAN.tsv`. The first is `npm sbom`'s, whose components are kept as they
 * are; the second has a line `package, version, architecture` each of Debian's.
 */
import { readFileSync } from 'node:fs';

const [npm = '', debian = ''] = process.argv.slice(2);
const document = JSON.parse(readFileSync(npm, 'utf8'));

const packages = readFileSync(debian, 'utf8')
  .split('\n')
  .filter(Boolean)
  .map((line) => {
    const [name = '', version = '', architecture = ''] = line.split('\t');
    const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${architecture}&distro=debian-12`;
    return { 'bom-ref': purl, type: 'library', name, version, purl };
  });
const { node } = process.versions;
const runtime = { 'bom-ref': 'node', type: 'platform', name: 'node', version: node, purl: `pkg:generic/node@${node}` };

process.stdout.write(
  `${JSON.stringify({ ...document, components: [...document.components, runtime, ...packages] }, null, 1)}\n`,
);
