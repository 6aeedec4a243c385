package kube

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cutset-dev/cutset/framework/provider/processes"
)

// Lines of /proc/PID/stat as a container of the tests had them; a name may hold anything.
func TestParse(t *testing.T) {
	const rest = " 1 12 12 0 -1 4194560 1034 0 0 0 3 1 0 0 20 0 1 0 181734 220889088 4992 18446744073709551615"
	for _, c := range []struct {
		line  string
		want  processes.Process
		alive bool
	}{
		{"12 (postgres) S" + rest, processes.Process{PID: 12, Name: "postgres", Born: 181734}, true},
		{"13 (postgres) T" + rest, processes.Process{PID: 13, Name: "postgres", Born: 181734, Stopped: true}, true},
		{"14 (a (b) c) D" + rest, processes.Process{PID: 14, Name: "a (b) c", Born: 181734, Waiting: true}, true},
		{"15 (postgres) Z" + rest, processes.Process{PID: 15, Name: "postgres", Born: 181734}, false},
		{"cat: /proc/16/stat: No such file or directory", processes.Process{}, false},
		{"17 (short) S 1 2", processes.Process{}, false},
		{"", processes.Process{}, false},
	} {
		got, alive := parse(c.line)
		if alive != c.alive {
			t.Errorf("%q: alive is %v", c.line, alive)
		}
		if diff := cmp.Diff(c.want, got); alive && diff != "" {
			t.Errorf("%q: %s", c.line, diff)
		}
	}
}
