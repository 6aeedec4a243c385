package executor

import (
	"strconv"
	"testing"
)

// Alerts that have nothing in common cannot be folded: then the lowest tier gives way, and critical ones never do.
func TestMakeRoom(t *testing.T) {
	var items []Alert
	for i := range 8 {
		items = append(items, Alert{Class: "c", Event: EventGivenUp, Target: strconv.Itoa(i), Tier: []Tier{TierNormal, TierLow}[i%2]})
	}
	items, dropped := makeRoom(items, Alert{Class: "c", Event: EventGivenUp, Target: "new", Tier: TierHigh})
	if len(items) != 8 || dropped != 1 || items[1].Target != "2" || items[7].Target != "new" {
		t.Errorf("dropped %d, left %+v: want the oldest low one to go", dropped, items)
	}
	items, dropped = makeRoom(items, Alert{Class: "c", Event: EventGivenUp, Target: "new", Tier: TierHigh})
	if dropped != 0 || items[7].Count != 2 {
		t.Errorf("dropped %d, the last is %+v: want it folded", dropped, items[7])
	}
	for i := range 100 {
		items, _ = makeRoom(items, Alert{Class: "c", Event: EventGivenUp, Target: "critical" + strconv.Itoa(i), Tier: TierCritical})
	}
	n := 0
	for _, a := range items {
		if a.Tier == TierCritical {
			n += max(a.Count, 1)
		}
	}
	if n != 100 || len(items) != 8 {
		t.Errorf("%d of 100 critical alerts in %d entries, want all in 8", n, len(items))
	}
	if items, dropped = makeRoom(items, Alert{Class: "c", Event: EventGivenUp, Tier: TierLow}); dropped != 1 || len(items) != 8 {
		t.Errorf("a low alert among critical ones: dropped %d, %d entries", dropped, len(items))
	}
}
