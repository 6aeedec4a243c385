package executor

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Scenario 19: the budget is of the last minute. It counts in instants, which nobody can set.
func TestRetryBudgetForgets(t *testing.T) {
	var b retryBudget
	now := instant(1)
	for range 10 {
		b.request(now)
	}
	allowed := func(now instant) (n int) {
		for b.charge(now, .5) {
			n++
		}
		return n
	}
	if n := allowed(now); n != 5 {
		t.Errorf("%d retries for 10 requests, want half of them", n)
	}
	if n := allowed(now.add(budgetWindow + time.Second)); n != budgetFloor {
		t.Errorf("%d retries a window later, want %d", n, budgetFloor)
	}
}

// What lies further ahead than instants reach never comes, and does not wrap around into the past.
func TestInstants(t *testing.T) {
	e := &Executor{epoch: time.Now().Add(-time.Hour)}
	now := e.now()
	if never := now.add(math.MaxInt64); never < now || never.sub(now) < 0 {
		t.Errorf("%d and the longest duration is %d", now, never)
	}
	for _, past := range []time.Time{{}, e.epoch, e.epoch.Add(-time.Second)} {
		if at := e.at(past); at != 1 {
			t.Errorf("%v is %d, want the beginning", past, at)
		}
	}
	if off := time.Since(e.clock(now)); off < 0 || off > time.Minute {
		t.Errorf("the clock shows now as %v ago", off)
	}
}

// Scenario 19: differences of times are of the monotonic clock, as long as nothing takes its reading off. So nothing
// in this package or below it may; times are handed out for people to read, and are not read back.
func TestNothingReadsTheWallClock(t *testing.T) {
	wall := map[string]bool{
		"Unix": true, "UnixNano": true, "UnixMilli": true, "UnixMicro": true, "AddDate": true, "Date": true, "Parse": true,
		"UTC": true, "Local": true, "In": true, "Truncate": true,
	}
	files := 0
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path == "bench": // a module of its own
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		files++
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			selector, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			on, _ := selector.X.(*ast.Ident)
			name := selector.Sel.Name
			// Parse is that of time only; Round(0) is how a time is stripped.
			bad := wall[name] && (name != "Parse" || on != nil && on.Name == "time")
			if name == "Round" && len(call.Args) == 1 {
				zero, ok := call.Args[0].(*ast.BasicLit)
				bad = ok && zero.Value == "0"
			}
			if bad {
				t.Errorf("%s: %s takes the wall clock, which may be set; use differences of times", set.Position(call.Pos()), name)
			}
			return true
		})
		return nil
	})
	if err != nil || files < 30 {
		t.Errorf("%d files read, %v", files, err)
	}
}
