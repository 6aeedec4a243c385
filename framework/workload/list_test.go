package workload

import (
	"testing"

	"github.com/cutset-dev/cutset/framework/history"
)

// Lists stay short, no value is appended twice, and every list is looked at after its last append.
func TestListsStayShort(t *testing.T) {
	c := &client{clients: &Clients{}, shard: 1, suffix: "x"}
	appends, values, lookedAt := map[string]int{}, map[int64]bool{}, map[string]int{}
	var order []string
	for range 4 * itemsPerList * 2 {
		var op history.Op
		c.chooseList(t.Context(), &op)
		if op.Kind == history.OpList {
			lookedAt[op.Key] = appends[op.Key]
			continue
		}
		if appends[op.Key]++; appends[op.Key] == 1 {
			order = append(order, op.Key)
		}
		values[op.Value] = true
	}
	if len(order) != 4 || order[0] != "l1-1-x" || len(values) != 4*itemsPerList {
		t.Errorf("got lists %v with %d values", order, len(values))
	}
	for _, key := range order[:3] {
		if appends[key] != itemsPerList || lookedAt[key] != itemsPerList {
			t.Errorf("list %s had %d appends, and %d of them when it was last looked at", key, appends[key], lookedAt[key])
		}
	}
	if c.seek != 4*itemsPerList*2/findAnew {
		t.Errorf("the primary was looked for %d times", c.seek)
	}
}
