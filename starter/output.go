package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"unicode"
)

// event is one line of --json.
type event map[string]any

// emit prints an event. A closed standard output must not end a backup.
func (a *app) emit(e event) {
	b, err := marshalPlain(e)
	if err != nil {
		a.log.Error("event cannot be written as JSON", "err", err)
		return
	}
	a.stdout.Write(append(b, '\n'))
}

// emitAs prints v's fields as an event of that name.
func (a *app) emitAs(name string, v any) {
	b, err := marshalPlain(v)
	if err == nil {
		e := event{}
		if err = json.Unmarshal(b, &rawFields{e}); err == nil {
			out := event{"event": name}
			maps.Copy(out, e)
			a.emit(out)
			return
		}
	}
	a.log.Error("event cannot be written as JSON", "event", name, "err", err)
}

// rawFields keeps numbers and order-free fields as they were written.
type rawFields struct{ e event }

func (r *rawFields) UnmarshalJSON(b []byte) error {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		return err
	}
	for k, v := range m {
		r.e[k] = v
	}
	return nil
}

func marshalPlain(v any) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return []byte(strings.TrimSuffix(b.String(), "\n")), err
}

// printable escapes what a terminal would act on: names come from outside.
func printable(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			q := fmt.Sprintf("%q", string(r))
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String()
}
