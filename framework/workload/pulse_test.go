package workload

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cutset-dev/cutset/framework/history"
)

func TestLapses(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name            string
		monotonic, wall time.Duration
		want            []history.Lapse
	}{
		{"on time", 20 * ms, 20 * ms, nil},
		{"a little late", 110 * ms, 110 * ms, nil},
		{"late", 220 * ms, 220 * ms, []history.Lapse{{Kind: history.Stall, Took: 200 * ms}}},
		{"clock put forward", 20 * ms, 5020 * ms, []history.Lapse{{Kind: history.Jump, Took: 20 * ms, By: 5000 * ms}}},
		{"clock put back", 20 * ms, -480 * ms, []history.Lapse{{Kind: history.Jump, Took: 20 * ms, By: -500 * ms}}},
		{"clock corrected a little", 20 * ms, 60 * ms, nil},
		{"suspended", 1020 * ms, 61020 * ms, []history.Lapse{{Kind: history.Stall, Took: 1000 * ms}, {Kind: history.Jump, Took: 1020 * ms, By: 60000 * ms}}},
	} {
		if diff := cmp.Diff(c.want, lapses(c.monotonic, c.wall)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestAPulseKnowsOfTheStallThatLasts(t *testing.T) {
	var p Pulse
	if stood := p.Stood(); stood != 0 {
		t.Errorf("before it beats, the process has stood still for %s", stood)
	}
	p.beats(time.Now(), []history.Lapse{{Kind: history.Stall, Took: 2 * time.Second}, {Kind: history.Jump, Took: time.Minute, By: time.Minute}})
	if stood := p.Stood(); stood != 2*time.Second {
		t.Errorf("got %s after a stall of 2 s", stood)
	}
	p.beats(time.Now().Add(-time.Minute), nil)
	if stood := p.Stood(); stood < 61*time.Second {
		t.Errorf("got %s after a stall of 2 s, in one of a minute", stood)
	}
	p.beats(time.Time{}, nil)
	if stood := p.Stood(); stood != 2*time.Second {
		t.Errorf("got %s once it does not beat any more", stood)
	}
}
