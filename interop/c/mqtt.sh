#!/bin/bash
# libmosquitto's command line tools (Debian's mosquitto-clients): mosquitto_pub, _sub and _rr in their versions.
# Prints one line per case as interop/run expects it.
set -u
: "${INTEROP_MQTT:?run interop/run}"
place=${INTEROP_MQTT#mqtt://}
place=${place%/}
HOST=${place#*@}
TO=(-h "${HOST%:*}" -p "${HOST##*:}" -u "${place%%:*}" -P "$(cut -d: -f2 <<<"${place%@*}")")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
reported=0
serial=0

unique() { echo "interop.c.$$.$((++serial)).$RANDOM"; }

# check NAME COMMAND...: the command's last line of complaint is the reason
check() {
  local name=$1
  shift
  reported=$((reported + 1))
  # Not as the condition itself: bash would ignore -e in there.
  (set -e; "$@") >"$folder/why" 2>&1
  if [ $? -eq 0 ]; then
    echo "ok $name"
  elif grep -q '^skip: ' "$folder/why"; then
    echo "skip $name: $(sed -n 's/^skip: //p' "$folder/why")"
  else
    echo "FAIL $name: $(tail -n 1 "$folder/why")"
    cat "$folder/why"
  fi
}

want() {
  [ "$2" = "$3" ] && return 0
  local got=${2//$'\n'/ } wanted=${3//$'\n'/ }
  echo "$1: got '${got:0:300}', wanted '${wanted:0:300}'" >&2
  exit 1
}

pub() { mosquitto_pub "${TO[@]}" "$@"; }
sub() { timeout 20 stdbuf -oL mosquitto_sub "${TO[@]}" "$@"; }

# hear FILE ARGUMENTS...: subscribes in the background, and is subscribed when it returns
hear() {
  local file=$1 _
  shift
  # Before it is read: the shell in the background may come later.
  : >"$file"
  sub -d "$@" >"$file" 2>&1 &
  listener=$!
  for _ in $(seq 200); do
    grep -q SUBACK "$file" && return 0
    sleep 0.02
  done
  echo "no SUBACK: $(tail -n 1 "$file")" >&2
  exit 1
}

# want_heard WHAT WANTED: what came, without what -d says of the conversation
want_heard() {
  wait "$listener" || true
  want "$1" "$(grep -v -E '^(Client|Subscribed)' "$folder/heard")" "$2"
}

qos() {
  local version topic level
  for version in mqttv31 mqttv311 mqttv5; do
    for level in 0 1 2; do
      topic=$(unique)
      hear "$folder/heard" -V $version -t "$topic/#" -q 2 -C 2 -F '%q %r %p'
      pub -V $version -t "$topic/a" -q $level -m one
      pub -V $version -t "$topic/b" -q $level -m two
      want_heard "$version, QoS $level" "$level 0 one"$'\n'"$level 0 two"
    done
  done
}

lines_in_order() {
  local topic version
  for version in mqttv311 mqttv5; do
    topic=$(unique)
    hear "$folder/heard" -V $version -t "$topic" -q 1 -C 500
    seq 500 | pub -V $version -t "$topic" -q 1 -l
    want_heard order "$(seq 500)"
  done
}

files() {
  local topic
  topic=$(unique)
  head -c $((2 * 1024 * 1024)) /dev/urandom >"$folder/large"
  pub -t "$topic" -q 1 -r -f "$folder/large"
  sub -t "$topic" -q 1 -C 1 -N >"$folder/back"
  cmp "$folder/large" "$folder/back"
  pub -t "$topic" -q 1 -r -n
}

retained() {
  local topic
  topic=$(unique)
  pub -t "$topic/a" -q 1 -r -m kept
  pub -t "$topic/b" -q 1 -r -m gone
  pub -t "$topic/b" -q 1 -r -n
  want "one is left" "$(sub -t "$topic/#" -F '%r %p' -W 1 || true)" "1 kept"
  want "only what is retained" "$(sub -t "$topic/#" --retained-only -F '%p' -W 1 || true)" kept
  # The tool's own way to clean up.
  sub -t "$topic/#" --remove-retained -W 1 || true
  want "nothing is left" "$(sub -t "$topic/#" -W 1 || true)" ""
}

wills() {
  local topic lost
  topic=$(unique)
  hear "$folder/heard" -t "$topic" -q 1 -C 1 -F '%q %p'
  : >"$folder/lost"
  stdbuf -oL mosquitto_sub "${TO[@]}" -d -t "$topic/other" --will-topic "$topic" --will-payload lost --will-qos 1 >"$folder/lost" 2>&1 &
  lost=$!
  for _ in $(seq 200); do grep -q SUBACK "$folder/lost" && break; sleep 0.02; done
  kill -9 $lost
  want_heard will "1 lost"
}

sessions() {
  local topic name version more
  for version in mqttv311 mqttv5; do
    more=()
    [ $version = mqttv5 ] && more=(-x 300)
    topic=$(unique)
    name=$(unique)
    # -E: ends when it is subscribed.
    sub -V $version -i "$name" -c "${more[@]}" -t "$topic" -q 2 -E
    seq 5 | pub -V $version -t "$topic" -q 2 -l
    want "what came meanwhile" "$(sub -V $version -i "$name" -c "${more[@]}" -t "$topic" -q 2 -C 5)" "$(seq 5)"
    sub -V $version -i "$name" -t "$topic" -E
  done
}

properties() {
  local topic
  topic=$(unique)
  hear "$folder/heard" -V 5 -t "$topic" -q 1 -C 1 -F '%C|%R|%D|%P|%F|%p' -D subscribe subscription-identifier 7
  pub -V 5 -t "$topic" -q 1 -m body -D publish content-type text/x -D publish response-topic to/me -D publish correlation-data abc \
    -D publish user-property b 2 -D publish user-property a 1 -D publish payload-format-indicator 1
  want_heard properties 'text/x|to/me|abc|b:2 a:1|1|body'
}

shared() {
  local topic one two
  topic=$(unique)
  : >"$folder/one"
  : >"$folder/two"
  sub -V 5 -d -t "\$share/g/$topic" -q 1 -W 3 >"$folder/one" 2>&1 &
  one=$!
  sub -V 5 -d -t "\$share/g/$topic" -q 1 -W 3 >"$folder/two" 2>&1 &
  two=$!
  for _ in $(seq 200); do grep -q SUBACK "$folder/one" && grep -q SUBACK "$folder/two" && break; sleep 0.02; done
  seq 40 | pub -t "$topic" -q 1 -l
  wait $one $two || true
  grep -h -x '[0-9]*' "$folder/one" "$folder/two" | sort -n >"$folder/all"
  want "each once" "$(cat "$folder/all")" "$(seq 40)"
  grep -q -x '[0-9]*' "$folder/one"
  grep -q -x '[0-9]*' "$folder/two"
}

request_and_response() {
  local topic server
  topic=$(unique)
  # The one that serves: it answers to the topic that the question names.
  hear "$folder/heard" -V 5 -t "$topic/ask" -q 1 -C 1 -F '%R %D %p'
  timeout 20 mosquitto_rr "${TO[@]}" -V 5 -q 1 -t "$topic/ask" -e "$topic/answer" -D publish correlation-data 42 -m question >"$folder/answer" &
  server=$!
  want_heard question "$topic/answer 42 question"
  pub -V 5 -t "$topic/answer" -q 1 -m answer -D publish correlation-data 42
  wait $server
  want answer "$(cat "$folder/answer")" answer
}

refused() {
  local said version
  for version in mqttv311 mqttv5; do
    if said=$(mosquitto_pub -h "${HOST%:*}" -p "${HOST##*:}" -u guest -P wrong -V $version -t t -m m 2>&1); then
      echo "let in" >&2
      exit 1
    fi
    case $said in *uthori* | *assword*) ;; *) want said "$said" 'not authorised' ;; esac
  done
}

restarting() {
  [ -n "${INTEROP_RESTART:-}" ] || { echo 'skip: no INTEROP_RESTART'; exit 1; }
  local topic name
  topic=$(unique)
  name=$(unique)
  sub -V 5 -i "$name" -c -x 300 -t "$topic/#" -q 2 -E
  seq 50 | pub -V 5 -t "$topic/a" -q 2 -l
  pub -V 5 -t "$topic/kept" -q 2 -r -m kept
  "$INTEROP_RESTART" >/dev/null
  want "what waited" "$(sub -V 5 -i "$name" -c -x 300 -t "$topic/a" -q 2 -C 51)" "$(seq 50; echo kept)"
  want "what was retained" "$(sub -t "$topic/kept" -C 1)" kept
  pub -t "$topic/kept" -q 1 -r -n
  sub -V 5 -i "$name" -t "$topic" -E
}

check qos qos
check lines-in-order lines_in_order
check files files
check retained retained
check wills wills
check sessions sessions
check properties properties
check shared shared
check request-and-response request_and_response
check refused refused
check restart restarting
echo "done $reported"
