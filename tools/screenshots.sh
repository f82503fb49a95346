#!/bin/bash
# Pictures of a run's pages in the Temporal UI, one a workflow, into DIR:
#   tools/screenshots.sh DIR [PATH OF lightfast]
# Needs chromium, curl and jq.
set -euo pipefail
into=${1:?usage: $0 DIR [PATH OF lightfast]}
lightfast=$(realpath "${2:-bin/lightfast}")
mkdir -p "$into"
work=$(mktemp -d)
up=
trap '[ -z "$up" ] || { kill -INT "$up" && wait "$up" || true; }; rm -rf "$work"' EXIT

mkdir "$work/Pictures"
for i in {1..60}; do head -c 30000 /dev/urandom >"$work/Pictures/IMG_$((4200 + i)).HEIC"; done
for i in {1..4}; do head -c 12000000 /dev/urandom >"$work/Pictures/MOV_$((100 + i)).MOV"; done
"$lightfast" backup --source "$work/Pictures" --to "$work/backup" --state "$work/state"

mkfifo "$work/events"
"$lightfast" up --state "$work/state" --json >"$work/events" &
up=$!
exec 3<"$work/events"
read -r event <&3
ui=$(jq -r .ui <<<"$event")

curl -sf "$ui/api/v1/namespaces/lightfast/workflows" |
	jq -r '.executions | reverse[] | [.type.name, (.execution.workflowId | @uri), .execution.runId] | @tsv' |
	while IFS=$'\t' read -r type id run; do
		[ -e "$into/$type.png" ] && continue # the first of each type
		chromium --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking \
			--disable-component-update --disable-sync --hide-scrollbars --user-data-dir="$work/chromium" \
			--window-size=1600,2000 --virtual-time-budget=30000 --screenshot="$into/$type.png" \
			"$ui/namespaces/lightfast/workflows/$id/$run/history" </dev/null 2>/dev/null
	done
ls -l "$into"
