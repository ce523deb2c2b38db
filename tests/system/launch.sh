#!/bin/bash
# Tests `trainer launch` with stand-ins: for ssh a script that runs the command here, for the program that it starts a script
# of sh. Ranks on localhost run the program itself.
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"
unset RANK WORLD_SIZE TRAINER_TOKEN TRAINER_TOKEN_FILE TRAINER_JOB

# The shell of a host. It runs `program` in place of trainer.
cat >ssh <<END
#!/bin/bash
host=\$1
shift
[ \$host != gone ] || { echo "ssh: Could not resolve hostname \$host" >&2; exit 255; }
exec env -i PATH="\$PATH" sh -c "\$*" < <(exec sed -u "s#$trainer#$work/program#")
END
chmod +x ssh
write_program() {
  { echo '#!/bin/sh'; cat; } >program
  chmod +x program
}
# launch HOSTS [WORD...]: sets $code; the output is in `out` and `errors`.
launch() {
  local hosts=$1
  shift
  "$trainer" launch --hosts="$hosts" --ssh="$work/ssh" -- "${@:-train}" >out 2>errors
  code=$?
}

write_program <<'END'
env >environment$RANK
for word; do echo "<$word>"; done >words$RANK
pwd >folder$RANK
echo "line of $RANK"
END
NCCL_DEBUG=INFO launch a,b:2 train --solver='a file' --set="x='1'"
check code "$code, $(cat errors)" test $code = 0
for rank in 0 1 2; do
  check words_of_rank_$rank "$(cat words$rank)" test "$(cat words$rank)" = "<train>
<--solver=a file>
<--set=x='1'>"
  check folder_of_rank_$rank "$(cat folder$rank)" test "$(cat folder$rank)" = "$PWD"
  check variables_of_rank_$rank "$(cat environment$rank)" test "$(grep -cE "^(RANK=$rank|WORLD_SIZE=3|LOCAL_RANK=$((rank / 2))|LOCAL_WORLD_SIZE=$((rank > 0 ? 2 : 1))|MASTER_ADDR=a|NCCL_DEBUG=INFO)$" environment$rank)" = 6
done
same() { [ "$(grep "^$1=" environment0)" = "$(grep "^$1=" environment1)" ] && grep -q "^$1=$2\$" environment0; }
check one_token "$(grep ^TRAINER_TOKEN= environment?)" same TRAINER_TOKEN '[0-9a-f]\{64\}'
check one_job "$(grep ^TRAINER_JOB= environment?)" same TRAINER_JOB '[0-9a-f]\{16\}'
check one_port "$(grep ^MASTER_PORT= environment?)" same MASTER_PORT '2[0-9]\{4\}'
check output "$(cat out)" test "$(sort out)" = "[rank 1 on b] line of 1
[rank 2 on b] line of 2
line of 0"
first=$(grep ^TRAINER_TOKEN= environment0)
launch a
check the_next_run_has_another_token "$first" test "$(grep ^TRAINER_TOKEN= environment0)" != "$first"
TRAINER_TOKEN=mine launch a
check token_of_the_user "$(cat environment0)" grep -qx TRAINER_TOKEN=mine environment0

write_program <<'END'
[ $RANK = 1 ] || { sleep 0.3; exit 7; }
echo "it fails" >&2
exit 3
END
launch a,b
check code_of_the_first_failure "$code" test $code = 3
check errors_name_the_rank "$(cat errors)" grep -qx '\[rank 1 on b\] it fails' errors
check error_names_rank_and_host "$(cat errors)" grep -qx 'trainer: error: rank 1 on b ended with exit code 3' errors

write_program <<'END'
exit 0
END
launch a,gone
check unreachable_host "$code" test $code = 7
check unreachable_host_is_named "$(cat errors)" grep -q '^trainer: error: rank 1 on gone: cannot connect to the host' errors

# A run that waits: its processes, signals, and the end of the launcher.
write_program <<'END'
for signal in INT TERM HUP USR1 USR2; do trap "echo $signal >>signals$RANK" $signal; done
trap 'echo INT >>signals$RANK; exit 130' INT
>ready$RANK
while [ ! -e end ]; do sleep 0.05; done
exit 5
END
start() {
  rm -f ready* signals* end
  env --default-signal=INT,HUP,TERM,USR1,USR2,XCPU "$trainer" launch --hosts=a,b --ssh="$work/ssh" -- "${@:-train}" \
    >out 2>errors &
  pid=$!
  wait_for 20 test -e ready0 -a -e ready1
}
told() { grep -qx "$1" signals0 2>/dev/null && grep -qx "$1" signals1 2>/dev/null; }
TRAINER_TOKEN=a_secret_of_this_run start
check token_is_in_no_command_line "$(grep -al a_secret_of_this_run /proc/[0-9]*/cmdline 2>/dev/null)" \
  test -z "$(grep -al a_secret_of_this_run /proc/[0-9]*/cmdline 2>/dev/null)"
for signal in USR1 HUP USR2 TERM; do
  kill -$signal $pid
  check "SIG${signal}_goes_to_all" "not after 20 s" wait_for 20 told $signal
done
kill -INT $pid
wait $pid
code=$?
check SIGINT_goes_to_all "$(cat signals?)" told INT
check code_of_SIGINT "$code, $(cat errors)" test $code = 130

start
kill -KILL $pid
wait $pid 2>/dev/null
check without_the_launcher_all_get_SIGTERM "not after 20 s" wait_for 20 told TERM
touch end

# An elastic run continues without a lost rank; the signal that stops it later is its end.
write_program <<'END'
trap 'exit 138' USR1
>ready$RANK
[ $RANK = 0 ] || exit 3
while [ ! -e end ]; do sleep 0.05; done
END
start train --elastic=1
check the_others_continue "$(cat errors)" wait_for 20 grep -q '^trainer: rank 1 on b ended with exit code 3; the others continue$' errors
kill -USR1 $pid
wait $pid
code=$?
touch end
check code_of_a_stop_after_a_loss "$code, $(cat errors)" test $code = 138

# The program itself: both ranks find the mistake.
write_tiny_net net.prototxt
launch localhost:2 test --model=net.prototxt --weights=none.caffemodel
check code_of_the_program "$code, $(cat errors)" test $code = 3
check message_of_rank_0 "$(cat errors)" grep -q '^--weights: error: .*none.caffemodel' errors
check message_of_rank_1 "$(cat errors)" grep -q '^\[rank 1 on localhost\] --weights: error: .*none.caffemodel' errors

# Commands that do not join run on rank 0 only.
RANK=1 WORLD_SIZE=2 "$trainer" summary --model=net.prototxt >out 2>errors
check rank_1_does_nothing "$? $(cat out errors)" test ! -s out -a ! -s errors
RANK=0 WORLD_SIZE=2 "$trainer" summary --model=net.prototxt >out 2>errors
check rank_0_works "$(cat errors)" grep -q conv out
PMI_RANK=1 PMI_SIZE=2 "$trainer" weights list none.caffemodel >out 2>errors
check rank_1_of_mpi_does_nothing "$(cat errors)" test $? = 0 -a ! -s errors
SLURM_PROCID=1 SLURM_STEP_NUM_TASKS=2 "$trainer" --version >out
check rank_1_shows_the_version "$(cat out)" grep -q '^trainer ' out
SLURM_PROCID=1 SLURM_STEP_NUM_TASKS=2 "$trainer" help launch >out
check rank_1_shows_help "$(cat out)" grep -q 'trainer launch' out
finish
