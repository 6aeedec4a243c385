// Package example is the shortest suite there is: copy it to start your own. It crashes single instances, which a
// table with a standby for every shard has to survive.
package example

import (
	"testing"

	"github.com/cutset-dev/cutset/framework"
)

func TestMain(m *testing.M) { framework.Main(m) }

func TestExample(t *testing.T) {
	framework.RunSuite(t, framework.Suite{
		Name:        "example",
		Levels:      []string{"machine"},
		Kinds:       []string{"crash"},
		MaxSize:     1,
		BudgetCases: 2,
	})
}

var _ = framework.Cases("one machine at a time")
