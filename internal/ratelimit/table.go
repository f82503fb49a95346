package ratelimit

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Table says how many bytes a second may pass at which time of the day. The
// zero value lets everything pass.
type Table []entry // by time of day

type entry struct {
	from time.Duration // since midnight, by the clock on the wall
	rate int64         // bytes a second; 0 for any
}

// Least is the lowest rate: below it, requests that share it rest for so long
// between two packets that stores hang up (AWS does after some 20 s).
const Least = 16 << 10

var rateForm = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)(b|[kmgt](?:i?b)?|)$`)

// ParseTable reads what rclone's --bwlimit takes: "10M", "off", or a timetable
// as "08:00,512k 19:00,10M 23:00,off", in which each rate holds until the next
// time, the last one over midnight. Units are powers of 1024; a bare number is
// KiB, and 0 is off.
func ParseTable(s string) (Table, error) {
	fields := strings.Fields(s)
	if len(fields) == 1 && !strings.Contains(s, ",") {
		rate, err := parseRate(fields[0])
		if err != nil || rate == 0 {
			return nil, err
		}
		return Table{{0, rate}}, nil
	}
	if len(fields) == 0 {
		return nil, fmt.Errorf("no rate in %q", s)
	}
	var t Table
	for _, f := range fields {
		at, rate, ok := strings.Cut(f, ",")
		clock, err := time.Parse("15:04", at)
		if !ok || err != nil {
			return nil, fmt.Errorf("%q is not HH:MM,RATE", f)
		}
		e := entry{from: time.Duration(clock.Hour())*time.Hour + time.Duration(clock.Minute())*time.Minute}
		if e.rate, err = parseRate(rate); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(t, func(o entry) bool { return o.from == e.from }) {
			return nil, fmt.Errorf("%s is there twice", at)
		}
		t = append(t, e)
	}
	slices.SortFunc(t, func(a, b entry) int { return cmp.Compare(a.from, b.from) })
	return t, nil
}

func parseRate(s string) (int64, error) {
	low := strings.ToLower(s)
	if low == "off" {
		return 0, nil
	}
	m := rateForm.FindStringSubmatch(low)
	if m == nil {
		return 0, fmt.Errorf("%q is no rate", s)
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no rate", s)
	}
	power := 1 // of a bare number
	if m[2] != "" {
		power = strings.IndexByte("bkmgt", m[2][0])
	}
	n *= math.Pow(1024, float64(power))
	switch {
	case n == 0:
		return 0, nil
	case n < Least:
		return 0, fmt.Errorf("%q is below %d KiB a second, where stores take a request for dead", s, Least>>10)
	case n > 1<<50:
		return 0, fmt.Errorf("%q is no rate", s)
	}
	return int64(n), nil
}

// At returns the bytes a second that may pass at t, in its time zone; 0 for
// any number.
func (t Table) At(now time.Time) int64 {
	if len(t) == 0 {
		return 0
	}
	h, m, s := now.Clock()
	clock := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second
	current := t[len(t)-1] // since yesterday
	for _, e := range t {
		if e.from <= clock {
			current = e
		}
	}
	return current.rate
}
