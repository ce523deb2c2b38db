#!/bin/bash
# The documentation: its links resolve, its shell commands work, its reference is what the program writes, and `trainer help`
# shows its pages.
#
#   tests/system/docs.sh TRAINER
#
# Commands of ```sh and indented blocks run page by page in a fresh folder with stand-ins for what the reader has:
# build/trainer, models/, small databases in place of Fashion-MNIST, weights of LeNet, and pictures in three folders of
# classes. A block below a line <!-- not run: REASON --> does not run.
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"
cd "$source_folder" || exit 2
pages=(README.md CONTRIBUTING.md docs/*.md)

# Lines that are not in blocks of code, without `code`.
prose() { awk '/^```/ { code = !code; next } !code && !/^    /' "$1" | sed 's/`[^`]*`//g'; }
# The anchors of a page, as GitHub makes them from headings.
anchors() {
  awk '/^```/ { code = !code } !code && /^#+ /' "$1" | sed -E 's/^#+ //; s/[^A-Za-z0-9 _-]//g; s/ /-/g' | tr '[:upper:]' '[:lower:]'
}
broken_links() {
  local page link target
  while IFS= read -r page; do
    while IFS= read -r link; do
      target=${link%%#*}
      target=${target:+$(dirname "$page")/$target}
      target=${target:-$page}
      if [ ! -e "$target" ]; then
        echo "$page: there is no $link"
      elif [[ $link == *#* ]] && ! anchors "$target" | grep -qxF -- "${link#*#}"; then
        echo "$page: $target has no heading for #${link#*#}"
      fi
    done < <(prose "$page" | grep -oE '\]\([^)]+\)' | sed -E 's/^\]\(//; s/\)$//' | grep -vE '^[a-z]+:')
  done < <(find . -name '*.md' -not -path './build*' -not -path './.bench/*' -not -path './data/*' -not -path './out/*')
}
broken=$(broken_links)
check links "$broken" test -z "$broken"

missing=$(grep -rl getenv src | xargs grep -ohE '"[A-Z]+(_[A-Za-z]+)+"|getenv\("[A-Za-z_]+"' | grep -oE '[A-Za-z_]+"' | tr -d '"' |
  sort -u | while read -r variable; do grep -qF "\`$variable\`" docs/environment-variables.md || echo "$variable"; done)
check environment_variables "docs/environment-variables.md lacks: $missing" test -z "$missing"

same_folders() { diff -rq "$1" "$2" >/dev/null; }
"$trainer" help --markdown="$work/reference"
check reference "docs/reference is out of date: remove it, run
    build/trainer help --markdown=docs/reference
and commit the result. The differences:
$(diff -r docs/reference "$work/reference" | head -n 20)" same_folders docs/reference "$work/reference"

for page in docs/*.md; do
  topic=$(basename "$page" .md)
  "$trainer" help "$topic" >"$work/topic" 2>&1
  title=$(sed -n '/^# /{s/^# //p;q}' "$page")
  check "help_$topic" "$(head -n 3 "$work/topic")" test "$(head -n 1 "$work/topic")" = "$title"
  check "help_${topic}_is_plain_text" "$(grep -nE '^```|[^[ ]\]\(|^<!--' "$work/topic")" \
    test "$(grep -cE '^```|[^[ ]\]\(|^<!--' "$work/topic")" = 0
done

# What every page finds in its folder.
cd "$work" || exit 2
mkdir -p template/build template/data/fashion-mnist template/pictures/{coat,dress,shirt}
ln -s "$trainer" template/build/trainer
find "$source_folder/models" -name '*.prototxt' -not -path '*_run/*' -printf 'models/%P\n' |
  tar -C "$source_folder" -T - -cf - | tar -C template -xf -
big_endian() { for number; do printf '%08x' "$number" | sed 's/../\\x&/g' | xargs -0 printf; done; }
for set in train:200 test:100; do
  count=${set#*:}
  { big_endian 2051 "$count" 28 28; head -c $((count * 784)) /dev/urandom; } >images
  { big_endian 2049 "$count"; yes $'\1\2\3' | tr -d '\n' | head -c "$count"; } >labels
  "$trainer" convert idx images labels "template/data/fashion-mnist/${set%:*}_lmdb" >log 2>&1 || bad "database_${set%:*}" "$(cat log)"
done
for class in coat:40 dress:120 shirt:220; do
  for picture in {1..20}; do
    { printf 'P5 28 28 255\n'; head -c 784 /dev/zero | tr '\0' "\\$(printf %o $((${class#*:} + picture)))"; } >"template/pictures/${class%:*}/$picture.pgm"
  done
done
(cd template && build/trainer train --solver=models/lenet/lenet_fashion_solver.prototxt --run_dir= --set max_iter=1 --set test_iter=1 &&
  mv models/lenet/lenet_fashion_iter_{1,6000}.caffemodel && rm models/lenet/lenet_fashion_iter_1.*) >log 2>&1 || bad weights "$(cat log)"

# commands PAGE: the blocks that run, as a script; in the file `counts` how many run and do not.
commands() {
  awk -v page="$1" '
    function begin() { if (skip) ++not_run; else { ++run; on = 1; print "# " page ":" NR } }
    /^```/ { if (fence) { fence = 0; on = 0 } else { fence = 1; if ($0 == "```sh") begin() } skip = 0; next }
    fence { if (on) print; next }
    /^    / { if (!indented && blank) { indented = 1; begin() } if (on) print substr($0, 5); skip = 0; next }
    { indented = 0; on = 0; skip = /^<!-- not run: ..* -->$/; blank = /^$/ }
    END { print run + 0, not_run + 0 >"counts" }' "$1"
}
run=0 not_run=0
for page in "${pages[@]}"; do
  commands "$source_folder/$page" >commands.sh
  read -r here skipped <counts
  run=$((run + here)) not_run=$((not_run + skipped))
  ((here > 0)) || continue
  rm -rf page && cp -r template page
  (cd page && bash -euxo pipefail ../commands.sh >../log 2>&1 </dev/null)
  status=$?
  check "commands_of_$(basename "$page" .md)" "$(tail -n 30 log)" test $status = 0
done
echo "$run blocks of commands run, $not_run not run"
finish
