package manners

import "testing"

func TestTheWorstOfAMacDecides(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    condition
		want int
	}{
		{"plugged in and cool", condition{}, 0},
		{"warm", condition{heat: fair}, 0},
		{"on its battery", condition{battery: true}, few},
		{"saving power", condition{lowPower: true}, few},
		{"hot", condition{heat: serious}, few},
		{"far too hot", condition{heat: critical, battery: true, lowPower: true}, one},
		{"hotter than is known", condition{heat: critical + 1}, one},
	} {
		n, why := tt.c.most()
		if n != tt.want || (why == "") != (n == 0) {
			t.Errorf("%s: most() = %d, %q, want %d and why", tt.name, n, why, tt.want)
		}
	}
}
