#!/bin/bash
# librabbitmq's command line tools (Debian's amqp-tools): queues, publishing, getting, consuming, refusals.
# Prints one line per case as interop/run expects it.
set -u
: "${INTEROP_URL:?run interop/run}" "${INTEROP_MISUSE:?}"
# librabbitmq takes the vhost from the path, literally.
URL=${INTEROP_URL%/}/%2f
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
  echo "$1: got '$2', wanted '$3'" >&2
  exit 1
}

declare_queue() { amqp-declare-queue -u "$URL" "$@"; }
delete_queue() { amqp-delete-queue -u "$URL" -q "$1" "${@:2}"; }
publish() { amqp-publish -u "$URL" "$@"; }
consume() { timeout 20 amqp-consume -u "$URL" "$@"; }

# The tools ask for no confirms: a message is looked for until it is there.
get() {
  local _
  for _ in $(seq 200); do
    amqp-get -u "$URL" -q "$1" && return 0
    [ $? -eq 2 ] || return 1
    sleep 0.05
  done
  echo "nothing arrived in $1" >&2
  return 1
}

# misuse KIND NAME COMMAND...: code and text as the table has them
misuse() {
  local kind=$1 name=$2 said
  shift 2
  if said=$("$@" 2>&1); then
    echo "the broker did not mind" >&2
    exit 1
  fi
  local code text
  while IFS=$'\t' read -r _ code text; do
    case $said in *"error $code, message: ${text//\{name\}/$name}"*) return 0 ;; esac
  done < <(grep -P "^$kind\t" "$INTEROP_MISUSE")
  echo "said: $said" >&2
  exit 1
}

declarations() {
  local queue
  queue=$(unique)
  want declared "$(declare_queue -q "$queue")" "$queue"
  want "declared again" "$(declare_queue -q "$queue")" "$queue"
  delete_queue "$queue" >/dev/null
  queue=$(unique)
  want durable "$(declare_queue -d -q "$queue")" "$queue"
  delete_queue "$queue" --if-unused --if-empty >/dev/null
  queue=$(declare_queue -q '')
  case $queue in amq.gen-*) ;; *) want server-made "$queue" 'amq.gen-...' ;; esac
  delete_queue "$queue" >/dev/null
}

publish_and_get() {
  local queue
  queue=$(unique)
  declare_queue -q "$queue" >/dev/null
  publish -r "$queue" -p -C text/plain -E utf-8 -t back -H 'one: two' -b hello
  want body "$(get "$queue")" hello
  code=0
  amqp-get -u "$URL" -q "$queue" || code=$?
  want "exit code of an empty queue" $code 2
  publish -r "$queue" -b one
  publish -r "$queue" -b two
  want first "$(get "$queue")" one
  want "left over" "$(get "$queue")" two
  delete_queue "$queue" >/dev/null
}

bodies() {
  local queue
  queue=$(unique)
  declare_queue -d -q "$queue" >/dev/null
  head -c $((8 * 1024 * 1024)) /dev/urandom >"$folder/large"
  : >"$folder/empty"
  for body in large empty; do
    publish -r "$queue" -p <"$folder/$body"
    get "$queue" >"$folder/back"
    cmp "$folder/$body" "$folder/back"
  done
  delete_queue "$queue" >/dev/null
}

consuming() {
  local queue
  queue=$(unique)
  declare_queue -q "$queue" >/dev/null
  seq 20 | publish -r "$queue" -l
  consume -q "$queue" -p 3 -c 20 cat >"$folder/consumed"
  want order "$(tr -d '\n' <"$folder/consumed")" "$(seq 20 | tr -d '\n')"
  code=0
  amqp-get -u "$URL" -q "$queue" || code=$?
  want "everything was acked" $code 2
  delete_queue "$queue" --if-empty >/dev/null
}

unacked_comes_back() {
  local queue
  queue=$(unique)
  declare_queue -q "$queue" >/dev/null
  publish -r "$queue" -b keep
  # The command fails, the tool does not ack, and leaves; the message must be there again.
  consume -q "$queue" -p 1 -c 1 false || true
  want again "$(get "$queue")" keep
  delete_queue "$queue" >/dev/null
}

bound_by_topic() {
  local key consumer
  key=$(unique)
  consume -x -e amq.topic -r "$key.#" -c 1 cat >"$folder/bound" &
  consumer=$!
  # Whether it is bound yet cannot be asked: publish until it has got one.
  for _ in $(seq 200); do
    kill -0 $consumer 2>/dev/null || break
    publish -e amq.topic -r "$key.word" -b found
    sleep 0.05
  done
  wait $consumer
  want body "$(cat "$folder/bound")" found
}

refusals() {
  local name
  name=$(unique)
  misuse get-missing "$name" amqp-get -u "$URL" -q "$name"
  misuse consume-missing "$name" amqp-consume -u "$URL" -q "$name" cat
  misuse publish-missing "$name" amqp-publish -u "$URL" -e "$name" -r k -b m
  misuse reserved-queue "amq.$name" amqp-declare-queue -u "$URL" -q "amq.$name"
  declare_queue -q "$name" >/dev/null
  misuse inequivalent-durable "$name" amqp-declare-queue -u "$URL" -d -q "$name"
  publish -r "$name" -b m
  for _ in $(seq 200); do
    amqp-delete-queue -u "$URL" -q "$name" --if-empty 2>"$folder/refused" || break
    declare_queue -q "$name" >/dev/null
    publish -r "$name" -b m
  done
  misuse queue-not-empty "$name" cat_and_fail "$folder/refused"
  want deleted "$(delete_queue "$name")" 1
  misuse vhost-missing "$name" amqp-declare-queue -u "${INTEROP_URL%/}/$name" -q "$name"
  misuse bad-password "$name" amqp-declare-queue -u "${INTEROP_URL/guest:guest/guest:wrong}" -q "$name"
}

cat_and_fail() {
  cat "$1"
  return 1
}

restarting() {
  [ -n "${INTEROP_RESTART:-}" ] || { echo 'skip: no INTEROP_RESTART'; exit 1; }
  local queue
  queue=$(unique)
  declare_queue -d -q "$queue" >/dev/null
  seq 50 | publish -r "$queue" -p -l
  # Without confirms only what was seen to be there may be asked for afterwards: the last one,
  # behind all others, got and given back by a consumer that fails.
  printf '#!/bin/sh\nread -r number\n[ "$number" != 50 ]\n' >"$folder/all-but-50"
  chmod +x "$folder/all-but-50"
  consume -q "$queue" -c 50 -p 50 "$folder/all-but-50" || true
  declare_queue -d -q "$queue" >/dev/null
  "$INTEROP_RESTART" >/dev/null
  want survivor "$(get "$queue")" 50
  delete_queue "$queue" >/dev/null
}

check declarations declarations
check publish-and-get publish_and_get
check bodies bodies
check consume consuming
check unacked-comes-back unacked_comes_back
check bound-by-topic bound_by_topic
check refusals refusals
check restart restarting
echo "done $reported"
