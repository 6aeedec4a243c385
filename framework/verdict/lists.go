package verdict

import (
	"fmt"
	"slices"

	"github.com/anishathalye/porcupine"

	"github.com/cutset-dev/cutset/framework/history"
)

// lists are empty at first.
var lists = &class{
	noun: "list", change: history.OpAppend, look: history.OpList,
	seen: func(op *history.Op) []int64 { return op.Items },
	describe: func(op *history.Op) string {
		if op.Kind == history.OpAppend {
			return fmt.Sprintf("append of %d", op.Value)
		}
		return fmt.Sprintf("list of %d items, %s", len(op.Items), ends(op.Items))
	},
	model: porcupine.Model{
		Init: func() any { return []int64(nil) },
		Step: func(state, input, _ any) (bool, any) {
			items, op := state.([]int64), input.(*history.Op)
			if op.Kind == history.OpAppend {
				return true, append(slices.Clip(items), op.Value)
			}
			return slices.Equal(items, op.Items), items
		},
		Equal: func(a, b any) bool { return slices.Equal(a.([]int64), b.([]int64)) },
		DescribeState: func(state any) string {
			items := state.([]int64)
			return fmt.Sprintf("%d items, %s", len(items), ends(items))
		},
	},
}

// ends are the last items, for messages: what is wrong with a list is mostly there.
func ends(items []int64) string {
	const most = 5
	if len(items) <= most {
		return fmt.Sprint(items)
	}
	return fmt.Sprint("[... ", fmt.Sprint(items[len(items)-most:])[1:])
}
