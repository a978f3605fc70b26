# Runs one program and ends it when standard input ends, that is, when whoever started this script is gone.
# Arguments: signal for the end, seconds until SIGKILL follows, folder to remove afterwards (or empty), log file, program, its arguments.
# Standard output: the program's process id, later `exit <code>`.
# Standard input: a signal's name to send it, or `keep` to leave the folder in place.
end=$1 grace=$2 folder=$3 log=$4
shift 4
exec 3<&0
"$@" </dev/null >>"$log" 2>&1 3<&- &
program=$!
# Nobody may be left to read what we print; that must not end us before the folder is removed.
trap '' PIPE
echo "$program"

{
    while read -r signal; do kill -s "$signal" "$program" 2>/dev/null; done
    kill -s "$end" "$program" 2>/dev/null
    waited=0
    while [ "$waited" -lt "$grace" ]; do
        sleep 1
        waited=$((waited + 1))
    done
    kill -s KILL "$program" 2>/dev/null
} <&3 >/dev/null 2>&1 &
keeper=$!

# A program ended by a signal makes the shell say so; nobody wants to read that.
wait "$program" 2>/dev/null
code=$?
kill "$keeper" 2>/dev/null
wait "$keeper" 2>/dev/null
echo "exit $code"

# The folder belongs to the one who started us until that process ends or says otherwise.
while read -r line <&3; do
    [ "$line" = keep ] && folder=
done
[ -n "$folder" ] || exit 0
rm -rf "$folder" 2>/dev/null || { sleep 1; rm -rf "$folder"; }
exit 0
