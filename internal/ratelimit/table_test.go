package ratelimit_test

import (
	"testing"
	"time"

	"lightfast/internal/ratelimit"
)

func TestTableIsReadAsRcloneReadsIt(t *testing.T) {
	const midnight, morning, noon, evening = "00:00", "07:59", "12:00", "23:00"
	for _, tt := range []struct {
		in, at string
		want   int64
	}{
		{"10M", noon, 10 << 20},
		{"10MiB", noon, 10 << 20},
		{"1.5m", noon, 3 << 19},
		{"512k", noon, 512 << 10},
		{"512", noon, 512 << 10}, // KiB, as rclone and restic have it
		{"1048576B", noon, 1 << 20},
		{"1G", noon, 1 << 30},
		{"off", noon, 0},
		{"0", noon, 0},
		{"08:00,512k 19:00,10M 23:00,off", noon, 512 << 10},
		{"08:00,512k 19:00,10M 23:00,off", evening, 0},
		{"08:00,512k 19:00,10M 23:00,off", midnight, 0},
		{"08:00,512k 19:00,10M 23:00,off", morning, 0},
		{" 19:00,10M  08:00,512k ", morning, 10 << 20}, // in any order
		{"12:00,1M", morning, 1 << 20},
		{"12:00,1M 12:01,off", noon, 1 << 20},
	} {
		clock, err := time.Parse("15:04", tt.at)
		if err != nil {
			t.Fatal(err)
		}
		if table, err := ratelimit.ParseTable(tt.in); err != nil || table.At(clock) != tt.want {
			t.Errorf("%q at %s = %d, %v, want %d", tt.in, tt.at, table.At(clock), err, tt.want)
		}
	}
}

func TestWhatIsNoTableIsRefused(t *testing.T) {
	for _, in := range []string{"", " ", "fast", "10X", "-1M", "10M/s", "1e3k", "M", "10 M", "15k", "1B", "NaN", "9999999999T",
		"08:00", "08:00,", ",10M", "8 o'clock,10M", "25:00,1M", "08:60,1M", "08:00,1M 08:00,2M", "08:00,1M 10M", "10M 08:00,1M"} {
		if table, err := ratelimit.ParseTable(in); err == nil {
			t.Errorf("%q is read as %v", in, table)
		}
	}
}
