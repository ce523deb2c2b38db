#!/bin/bash
# Tests weights by name: their download from a server on the loopback address, the cache, and the commands that take them.
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
export TRAINER_CACHE=$work/cache TRAINER_WEIGHTS=$work/manifest.prototxt
weights=$TRAINER_CACHE/weights
code=0
run() {
  timeout 120 "$trainer" "$@" >out 2>log
  code=$?
}
# ends_with CODE COMMAND...: the command of trainer ends with this code.
ends_with() {
  run "${@:2}"
  [ $code = "$1" ]
}
said() { grep -qF -- "$1" log; }
test_with() { run test --model=net.prototxt --iterations=1 --weights="$1"; }

write_tiny_net net.prototxt
write_solver solver.prototxt "max_iter: 2 snapshot_prefix: 'tiny'"
"$trainer" train --solver=solver.prototxt --run_dir= >/dev/null 2>&1
"$trainer" weights merge tiny_iter_2.caffemodel --output=tiny.safetensors >/dev/null 2>&1
sha256=$(sha256sum tiny.safetensors | cut -d ' ' -f 1)

# The server ends when its standard input does.
mkfifo stop
"$(dirname "$trainer")/tests/web_server" tiny.safetensors requests <stop &
server=$!
exec 3>stop
wait_for 10 test -s requests
address=http://127.0.0.1:$(head -n 1 requests)
entry() { echo "weights { name: '$1' net: 'tiny' url: '$2' sha256: '${3:-$sha256}' }"; }
for how in whole broken stalling slow other missing; do entry tiny.$how "$address/$how/tiny.safetensors"; done >manifest.prototxt

# Commands that do not read the weights download nothing.
check names_are_listed "" ends_with 0 weights names
check own_names_come_first "" [ "$(sed -n 2p out | cut -d ' ' -f 1)" = tiny.whole ]
check published_names_are_listed "" grep -q '^resnet50.IMAGENET1K_V2  *resnet50  *97.8  no  *not stated; code BSD-3-Clause$' out
check details_are_shown "" ends_with 0 weights names tiny.whole resnet50.IMAGENET1K_V2
check details_name_the_file "" grep -qF "$weights/tiny.whole.safetensors (not downloaded)" out
check details_have_the_preprocessing "" grep -qF 'augment { normalize { mean: 0.485 mean: 0.456 mean: 0.406 std: 0.229' out
check names_as_json "" ends_with 0 weights names --json
check names_as_json_have_the_licence "" grep -qF '"licence":"apache-2.0"' out
check validate_downloads_nothing "$(tail -n 3 log)" ends_with 0 validate --weights=tiny.whole
check validate_names_what_is_missing "" grep -q 'tiny.whole are not in the cache' out
entry tiny.renamed "$address/plain/tiny.safetensors" | sed 's|}$|rename { from: "onv/" to: "over/" } }|' >>manifest.prototxt
write_solver named.prototxt "max_iter: 2 weights: 'tiny.whole' snapshot_prefix: 'named'"
check validate_of_a_solver_downloads_nothing "$(tail -n 3 log)" ends_with 0 validate --solver=named.prototxt
check validate_of_a_solver_names_it "" grep -q 'tiny.whole are not in the cache' out
check a_wrong_net_downloads_nothing "" ends_with 2 test --model=absent.prototxt --weights=tiny.whole
check nothing_is_in_the_cache "$(ls "$weights" 2>&1)" [ ! -e "$weights" ]

# Each command takes a name.
check train_takes_the_name_of_a_solver "$(tail -n 3 log)" ends_with 0 train --solver=named.prototxt --run_dir=
check train_says_what_was_loaded "" said 'Weights from tiny.whole: 2 layers loaded'
check the_file_is_the_file "" cmp tiny.safetensors "$weights/tiny.whole.safetensors"
test_with tiny.whole
cp out by_name
test_with tiny.safetensors
check the_name_gives_the_scores_of_the_file "" cmp by_name out
check train_takes_a_name "$(tail -n 3 log)" ends_with 0 train --solver=solver.prototxt --weights=tiny.whole --run_dir=
check extract_features_takes_a_name "$(tail -n 3 log)" ends_with 0 extract_features tiny.whole net.prototxt ip ip.npy 1 npy
check weights_list_takes_a_name "$(tail -n 3 log)" ends_with 0 weights list tiny.whole
check validate_reads_the_cache "$(tail -n 3 log)" ends_with 0 validate --weights=tiny.whole
check validate_shows_the_content "" grep -q 'safetensors weights of 4 tensors' out
check names_say_what_is_there "" ends_with 0 weights names tiny.whole
check names_say_where "" grep -q "$weights/tiny.whole.safetensors\$" out
cp tiny.safetensors tiny.other
check tensors_are_renamed "$(tail -n 3 log)" ends_with 0 weights list tiny.renamed
check tensors_have_the_names_of_the_manifest "$(cat out)" grep -q '^  cover/1 ' out
rm "$weights/tiny.renamed.safetensors"
check a_file_wins "$(tail -n 3 log)" ends_with 0 weights list tiny.other
check a_file_wins_without_a_download "" [ ! -e "$weights/tiny.other.safetensors" ]
rm tiny.other

# Failures.
check a_broken_transfer_ends_the_command "" ends_with 3 weights list tiny.broken
check a_broken_transfer_keeps_its_part "$(tail -n 1 log)" said 'the same command continues after the'
check a_broken_transfer_continues "$(tail -n 1 log)" ends_with 0 weights list tiny.broken
check the_continued_file_is_the_file "" cmp tiny.safetensors "$weights/tiny.broken.safetensors"
check a_wrong_checksum "" ends_with 3 weights list tiny.other
check a_wrong_checksum_is_named "$(tail -n 1 log)" said "but the manifest says $sha256. The file was removed"
check a_missing_file "" ends_with 3 weights list tiny.missing
check a_missing_file_is_named "$(tail -n 1 log)" said "the server answers 404; save $address/missing/tiny.safetensors as $weights/tiny.missing.safetensors"
check failures_leave_no_file "$(ls "$weights")" [ "$(ls "$weights")" = "tiny.broken.safetensors
tiny.whole.safetensors" ]
echo more >>"$weights/tiny.whole.safetensors"
check a_changed_file_of_the_cache "" ends_with 3 weights list tiny.whole
check a_changed_file_is_named "$(tail -n 1 log)" said 'Remove the file: the next command downloads it again'
rm "$weights/tiny.whole.safetensors"
cp tiny.safetensors "$weights/tiny.missing.safetensors"
check a_file_put_there_by_hand "$(tail -n 1 log)" ends_with 0 weights list tiny.missing
entry tiny.closed "http://127.0.0.1:1/tiny.safetensors" >>manifest.prototxt
check no_network "" ends_with 3 weights list tiny.closed
check no_network_names_the_place "$(tail -n 1 log)" said "save http://127.0.0.1:1/tiny.safetensors as $weights/tiny.closed.safetensors"

# Ctrl-C. Background commands of a script ignore SIGINT.
env --default-signal=INT "$trainer" test --model=net.prototxt --iterations=1 --weights=tiny.stalling >out 2>log &
pid=$!
wait_for 10 test -s "$weights/tiny.stalling.safetensors.part"
kill -INT $pid
wait $pid
code=$?
check an_interrupt_ends_a_download "exit code $code" [ $code = 130 ]
check an_interrupt_keeps_the_part "$(tail -n 1 log)" test -s "$weights/tiny.stalling.safetensors.part"
check an_interrupt_is_named "$(tail -n 1 log)" said 'the same command continues it'

env --default-signal=INT "$trainer" train --solver=solver.prototxt --weights=tiny.stalling --run_dir= >out 2>log &
pid=$!
wait_for 10 grep -q 'Continuing the download of tiny.stalling' log
kill -INT $pid
wait $pid
code=$?
check an_interrupt_before_a_training_ends_it "exit code $code" [ $code = 130 ]

# Two at once.
for i in 1 2; do "$trainer" weights list tiny.slow >out$i 2>log$i & pids[i]=$!; done
both=0
for i in 1 2; do wait ${pids[i]} || both=$?; done
check two_at_once "$(tail -n 1 log1 log2)" [ $both = 0 ]
check two_at_once_read_the_same "" cmp out1 out2

# The disk.
limited() { (trap '' XFSZ; ulimit -f 1; exec "$trainer" weights list tiny.whole); }
limited 2>&1 | cat >log
code=${PIPESTATUS[0]}
check a_full_disk "exit code $code" [ $code = 3 ]
check a_full_disk_is_named "$(tail -n 1 log)" said 'File too large; TRAINER_CACHE can name another folder'
echo file >no_folder
TRAINER_CACHE=$work/no_folder run weights list tiny.whole
check no_folder "exit code $code" [ $code = 3 ]
check no_folder_is_named "$(tail -n 1 log)" said 'name another one with TRAINER_CACHE'
if [ $EUID = 0 ] && chmod 755 "$work" && setpriv --reuid 4242 --clear-groups test -x "$trainer" -a -r net.prototxt; then
  mkdir -p locked/weights
  TRAINER_CACHE=$work/locked setpriv --reuid 4242 --clear-groups "$trainer" weights list tiny.whole >out 2>log
  code=$?
  check no_permission "exit code $code" [ $code = 3 ]
  check no_permission_is_named "$(tail -n 1 log)" said 'Permission denied; TRAINER_CACHE can name another folder'
fi

# HTTPS, with certificates of a test authority.
if command -v openssl >/dev/null; then
  {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout authority.key -out authority.pem -days 2 -subj /CN=tests
    openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=127.0.0.1
    echo 'subjectAltName=IP:127.0.0.1' >names.txt
    openssl x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 -extfile names.txt -out server.pem
  } >/dev/null 2>&1
  mkdir secure
  { printf 'HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n' "$(stat -c %s tiny.safetensors)"; cat tiny.safetensors; } >secure/tiny.safetensors
  printf 'HTTP/1.0 302 Found\r\nLocation: %s/whole/tiny.safetensors\r\nContent-Length: 0\r\n\r\n' "$address" >secure/plain.safetensors
  (cd secure && exec openssl s_server -accept 127.0.0.1:0 -HTTP -cert ../server.pem -key ../server.key >../secure_log 2>&1 </dev/zero) &
  secure=$!
  wait_for 10 grep -q '^ACCEPT 127' secure_log
  port=$(sed -n 's/^ACCEPT 127.0.0.1:\([0-9]*\).*/\1/p' secure_log)
  entry tiny.secure "https://127.0.0.1:$port/tiny.safetensors" >>manifest.prototxt
  entry tiny.redirected "https://127.0.0.1:$port/plain.safetensors" >>manifest.prototxt
  check an_unknown_authority "" ends_with 3 weights list tiny.secure
  check an_unknown_authority_is_named "$(tail -n 1 log)" said 'certificate'
  export CURL_CA_BUNDLE=$work/authority.pem
  check https "$(tail -n 1 log)" ends_with 0 weights list tiny.secure
  check https_stays_https "" ends_with 3 weights list tiny.redirected
  check https_stays_https_is_named "$(tail -n 1 log)" said 'Protocol "http"'
  kill $secure
  wait $secure 2>/dev/null
else
  echo "SKIPPED https: there is no openssl"
fi

exec 3>&-
wait $server
check a_continued_transfer_asks_for_the_rest "$(cat requests)" grep -q '^broken bytes=' requests
check two_at_once_download_once "$(grep slow requests)" [ "$(grep -c slow requests)" = 1 ]
check one_download_serves_all_commands "$(grep whole requests)" [ "$(grep -c '^whole$' requests)" = 2 ]
finish
