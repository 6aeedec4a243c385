package executor

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// setClock returns t as time.Now would have returned it had the machine's clock been set by d before: another wall
// clock reading and the same monotonic one. It knows the inside of time.Time, and checks that it does.
func setClock(t *testing.T, now time.Time, d time.Duration) time.Time {
	t.Helper()
	const wallSeconds = 30 // bits of wall below the seconds; see type Time in package time
	*(*uint64)(unsafe.Pointer(&now)) += uint64(int64(d/time.Second)) << wallSeconds
	return now
}

// Scenario 19: whoever sets the clock changes no budget.
func TestClockJump(t *testing.T) {
	now := time.Now()
	for _, jump := range []time.Duration{-time.Hour, time.Hour} {
		after := setClock(t, now, jump)
		if wall := after.Round(0).Sub(now.Round(0)); wall != jump || after.Sub(now) != 0 {
			t.Fatalf("the test is void: the wall clock moved by %v, want %v, the monotonic one by %v", wall, jump, after.Sub(now))
		}
		var b retryBudget
		for range 10 {
			b.request(now)
		}
		for n := range 5 { // half of ten
			if !b.charge(after, .5) {
				t.Errorf("clock set by %v: retry %d of 5 is denied", jump, n+1)
			}
		}
		if b.charge(after, .5) {
			t.Errorf("clock set by %v: a sixth retry is allowed", jump)
		}
		// A window later, the same as ever: the old requests and retries are forgotten.
		later := after.Add(budgetWindow + time.Second)
		for n := range budgetFloor {
			if !b.charge(later, .5) {
				t.Errorf("clock set by %v: a window later, retry %d of %d is denied", jump, n+1, budgetFloor)
			}
		}
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
