# Sourced by tools/gpu_check: the folder OUT, its rows, and the remaining time.

passed=0 failed=0 skipped=0

# open_results OUT: sets `out` and `results`, and unpacks the caches there.
open_results() {
  mkdir -p "$1/traces" "$1/cache" && out=$(cd "$1" && pwd) || return 1
  [[ -z $packs ]] || { mkdir -p "$packs" && packs=$(cd "$packs" && pwd); } || return 1
  [[ $packs != "$out" ]] || { echo "--pack=$packs is OUT: give another folder" >&2; return 1; }
  results=$out/results.md
  touch "$results" || return 1
  export XDG_CACHE_HOME=$out/cache TORCHINDUCTOR_CACHE_DIR=$out/cache/torch
}

# restore_caches PATH...: the caches of earlier calls. The files may be read-only, but the copies must be writable.
restore_caches() {
  local from
  for from in "$@"; do
    if [[ -f $from ]]; then
      tar -xf "$from" -C "$out/cache" || exit 2
    else
      [[ ! -d $from/cache ]] || from+=/cache
      cp -r --no-preserve=mode,ownership "$from/." "$out/cache" || exit 2
    fi
  done
}

# pack FILE FOLDER NAME...: replaces the archive atomically.
pack() {
  [[ -n $packs ]] || return 0
  local file=$packs/$1 names=() name
  for name in "${@:3}"; do [[ ! -e $2/$name ]] || names+=("$name"); done
  ((${#names[@]})) || return 0
  XZ_OPT='-3 -T0' tar -C "$2" -caf "$packs/.$1" "${names[@]}" && mv "$packs/.$1" "$file"
}
pack_results() {
  [[ -n $packs ]] || return 0
  cp "$results" "$packs/results.md"
  local names
  names=$(cd "$out" && ls -d results.md ./*.log traces 2>/dev/null)
  # shellcheck disable=SC2086
  pack results.tar.gz "$out" $names
}
pack_caches() {
  local name file
  for name in trainer torch; do
    file=$packs/${name}_cache.tar.xz
    [[ -e $file && -z $(find "$out/cache/$name" -newer "$file" -print -quit) ]] || pack "${file##*/}" "$out/cache" $name
  done
}

say() { echo "$*" | tee -a "$results"; }

# Sets `part_end`: a part may use the time that the selected parts after it leave, up to its own limit.
start_part() {
  local later='' other end=$((seconds - 15))
  for other in "${all_parts[@]}"; do
    [[ -z $later || " ${parts[*]} " != *" $other "* ]] || end=$((end - ${kept[$other]:-0} * seconds / 600))
    [[ $other != "$part" ]] || later=1
  done
  part_end=$((SECONDS + most[$part] < end ? SECONDS + most[$part] : end))
}
# left LIMIT: the limit or the remaining seconds of the part, whichever is less; at least one.
left() {
  local rest=$((part_end - SECONDS))
  echo $((rest < 1 ? 1 : rest < $1 ? rest : $1))
}
# has_time SECONDS CHECK: writes a row if the part has less time.
has_time() {
  ((part_end - SECONDS < $1)) || return 0
  row skipped "$2" "no time left"
  return 1
}

# attempt LIMIT COMMAND...: runs it for at most LIMIT seconds. Its output goes to `output` and to the part's log.
# `code`, `took`, `command` and `cut` (the part's end came before the limit) describe the run.
attempt() {
  local limit from=$SECONDS
  limit=$(left "$1")
  command=${*:2}
  command=${command//$bundle\//}
  if ((part_end > SECONDS)); then
    timeout -k 3 "$limit" "${@:2}" </dev/null >output 2>&1
    code=$?
  else
    : >output
    code=124
  fi
  took=$((SECONDS - from))
  cut=$((limit < $1 && SECONDS + 1 >= part_end))
  { echo "== $command"; head -c 2000000 output; echo "== exit code $code after $took s"; echo; } >>"$out/$part.log"
}

# row RESULT CHECK WHAT
row() {
  case $1 in
    passed) passed=$((passed + 1)) ;;
    FAILED) failed=$((failed + 1)) ;;
    skipped) skipped=$((skipped + 1)) ;;
  esac
  say "| $part | $2 | $1 | ${3//|//} | ${took:-0} s | \`${command:--}\` |"
  took='' command=''
  pack_results
}

# unfinished CHECK: the row of an attempt with a non-zero exit code.
unfinished() {
  if ((code != 124 && code != 137)); then
    row FAILED "$1" "exit code $code: $(grep -v '^ *$' output | tail -n 1 | cut -c -200)"
  elif ((cut)); then
    row skipped "$1" "no time left: stopped after $took s${2:-}"
  else
    row FAILED "$1" "stopped after $took s${2:-}"
  fi
}

# verdict CHECK WHAT CONDITION...: the row of the last attempt; passed if its exit code was 0 and the condition holds.
verdict() {
  if ((code != 0)); then unfinished "$1"; elif "${@:3}"; then row passed "$1" "$2"; else row FAILED "$1" "$2"; fi
}
