#!/usr/bin/env bash
# Makes all that is released, in an empty folder: packages, the .NET tool, the wheel, the native command, the tarball with libtorch and
# its own .NET, a list of what is in them (CycloneDX), and the digests. docs/install.md describes them.
set -euo pipefail
[ $# = 1 ] || { echo "usage: release/make.sh DIR" >&2; exit 2; }
mkdir -p "$1"
[ -z "$(ls -A "$1")" ] || { echo "$1 is not empty" >&2; exit 2; }
out=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
version=$(sed -n 's/.*<Version>\(.*\)<\/Version>.*/\1/p' Directory.Build.props)
processor=$(uname -m)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for project in Mystique Mystique.TorchSharp Mystique.Cli; do
  dotnet pack -c Release -m:1 "src/$project" -o "$out"
done

dotnet publish src/Mystique.Cli -c Release -m:1 -p:Native=true -p:Wheel=true "-p:WheelFolder=$out"
# The same input gives the same file.
pack() { tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$work" -czf "$out/$1" "$2"; }
cp -r artifacts/native/mystique "$work/mystique-native-$version"
cp LICENSE "$work/mystique-native-$version"
python3 python/notices.py artifacts/native/obj/Mystique.Cli/project.assets.json > "$work/mystique-native-$version/THIRD-PARTY-NOTICES.md"
pack "mystique-native-$version-linux-$processor.tar.gz" "mystique-native-$version"

# The command with libtorch runs on a .NET of its own, in the folder dotnet, which its worker is started with, too.
bundle=$work/mystique-$version
dotnet publish src/Mystique.Cli -c Release -m:1 -o "$bundle/lib" -p:AppHostDotNetSearch=AppRelative -p:AppHostRelativeDotNet=../dotnet \
  -p:DebugType=none -p:GenerateDocumentationFile=false -p:PublishDocumentationFiles=false
runtime=$(dotnet --list-runtimes | sed -n 's/^Microsoft.NETCore.App \(10\.[^ ]*\) \[\(.*\)\]$/\1 \2/p' | tail -n 1)
from=$(dirname "$(dirname "${runtime#* }")")
mkdir -p "$bundle/dotnet/shared/Microsoft.NETCore.App" "$bundle/dotnet/host/fxr" "$bundle/bin"
cp "$from/dotnet" "$from/LICENSE.txt" "$from/ThirdPartyNotices.txt" "$bundle/dotnet"
cp -r "$from/shared/Microsoft.NETCore.App/${runtime% *}" "$bundle/dotnet/shared/Microsoft.NETCore.App"
cp -r "$from/host/fxr/${runtime% *}" "$bundle/dotnet/host/fxr"
ln -s ../lib/Mystique.Cli "$bundle/bin/mystique"
cp LICENSE "$bundle"
python3 python/notices.py artifacts/obj/Mystique.Cli/project.assets.json > "$bundle/THIRD-PARTY-NOTICES.md"
pack "mystique-$version-linux-$processor.tar.gz" "mystique-$version"

python3 release/sbom.py mystique "$version" artifacts/obj/Mystique.Cli/project.assets.json > "$out/mystique-$version.cdx.json"
(cd "$out" && find . -type f ! -name SHA256SUMS -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum > SHA256SUMS)
cat "$out/SHA256SUMS"
