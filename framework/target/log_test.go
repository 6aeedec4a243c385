package target

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cutset-dev/cutset/framework/history"
)

// told is what an event comes to.
func told(events []Event) (lines []string) {
	for _, e := range events {
		lines = append(lines, e.At.UTC().Format("15:04:05.000 ")+string(e.Name))
	}
	return lines
}

// The logs are parts of real ones, with Python's tracebacks and initdb's words in them: of Patroni 3.0.2 on embedded machines and of
// Patroni 4.0.7 on Kubernetes.
func TestRealLogs(t *testing.T) {
	for file, want := range map[string][]string{
		"patroni-3.0.2.log": {
			"03:34:29.577 locked", "03:34:29.600 promoted", "03:34:48.281 demoted", "03:34:48.541 demoted",
		},
		"patroni-4.0.7.log": {
			"04:20:14.285 locked", "04:20:14.713 promoted", "04:20:39.023 demoted", "04:20:39.023 demoted",
			"04:20:49.792 demoted", "04:20:51.844 locked", "04:20:52.374 promoted",
		},
	} {
		log, err := os.Open(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		events, err := parseLog(log)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, told(events)); diff != "" {
			t.Errorf("%s: wanted and got: %s", file, diff)
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLines(t *testing.T) {
	const ready = "2026-11-25 03:20:46.000 UTC [7] LOG:  database system is ready to accept connections"
	for _, c := range []struct {
		name  string
		lines []string
		want  []string
	}{
		{"a primary that starts", []string{"2026-11-25 03:20:45.000 UTC [7] LOG:  database system was shut down at 2026-11-25 03:20:44 UTC", ready}, nil},
		{"a standby that starts", []string{"2026-11-25 03:20:45.000 UTC [7] LOG:  database system is ready to accept read-only connections"}, nil},
		{"a standby that is promoted", []string{"2026-11-25 03:20:45.000 UTC [8] LOG:  archive recovery complete", ready}, []string{"03:20:46.000 promoted"}},
		{"a standby that dies of it", []string{
			"2026-11-25 03:20:45.000 UTC [8] LOG:  archive recovery complete",
			"2026-11-25 03:20:45.900 UTC [9] LOG:  starting PostgreSQL 15.18 on x86_64-pc-linux-gnu", ready,
		}, nil},
		{"other zones", []string{
			"2026-11-25 05:20:45.000 +02 [8] LOG:  archive recovery complete",
			"2026-11-25 05:20:46 +02 [7] LOG:  database system is ready to accept connections",
		}, []string{"03:20:46.000 promoted"}},
		{"a zone that is only a word", []string{
			"2026-11-25 04:20:45.000 CET [8] LOG:  archive recovery complete",
			"2026-11-25 04:20:46.000 CET [7] LOG:  database system is ready to accept connections",
		}, nil},
		{"another prefix", []string{"[7] LOG:  archive recovery complete", "[7] LOG:  database system is ready to accept connections"}, nil},
		{"the lock, taken by who is a primary already, or had it", []string{
			"2026-11-25 03:20:45,123 INFO: acquired session lock as a leader",
			"2026-11-25 03:20:46,123 INFO: promoted self to leader because I had the session lock",
		}, []string{"03:20:45.123 locked", "03:20:46.123 locked"}},
		{"the lead is given up", []string{
			"2026-11-25 03:20:45,123 INFO: demoting self because DCS is not accessible and I was a leader",
			"2026-11-25 03:20:45,124 INFO: Demoting self (offline)",
			"2026-11-25 03:20:46,124 INFO: demoted self because failed to update leader lock in DCS",
		}, []string{"03:20:45.123 demoted", "03:20:45.124 demoted", "03:20:46.124 demoted"}},
		{"the lock is with another", []string{"2026-11-25 03:20:45,123 INFO: Lock owner: s1-m2; I am s1-m1", "2026-11-25 03:20:45,124 INFO: no action. I am (s1-m1), a secondary"}, nil},
		{"JSON", []string{`{"level":"info","ts":"2026-11-25T03:20:45Z","record":{"message":"database system is ready to accept connections"}}`}, nil},
		{"no day of any year", []string{"2026-13-45 03:20:45,123 INFO: acquired session lock as a leader"}, nil},
	} {
		events, err := parseLog(strings.NewReader(strings.Join(c.lines, "\n") + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, told(events)); diff != "" {
			t.Errorf("%s: wanted and got: %s", c.name, diff)
		}
	}
}

// A line that is only half there is not read yet.
func TestLastLine(t *testing.T) {
	events, err := parseLog(strings.NewReader("2026-11-25 03:20:45,123 INFO: acquired session lock as a leader"))
	if err != nil || len(events) != 0 {
		t.Errorf("got %v, %v", events, err)
	}
}

// printed has logs by instance.
type printed map[string]string

func (p printed) Log(instance string) (io.ReadCloser, error) {
	text, ok := p[instance]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

// Events of all instances are in one order, once each, and none is from before; a log that is missing costs nobody else theirs.
func TestEventsOfAllInstances(t *testing.T) {
	const lock, demote = " INFO: acquired session lock as a leader\n", " INFO: Demoting self (offline)\n"
	logs := printed{
		"a": "2026-11-25 03:20:45,123" + lock + "2026-11-25 03:20:50,000" + demote + "cutset: the log broke off\n" + "2026-11-25 03:20:50,000" + demote,
		"b": "2026-11-25 03:20:49,000" + lock,
	}
	events, err := ReadEvents(logs, map[string]int{"a": 1, "b": 1, "c": 2}, time.Date(2026, 11, 25, 3, 20, 46, 0, time.UTC))
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "read the log of c") {
		t.Errorf("got error %v, want one for c", err)
	}
	if diff := cmp.Diff([]string{"03:20:49.000 locked", "03:20:50.000 demoted"}, told(events)); diff != "" {
		t.Fatal("wanted and got: ", diff)
	}
	want := history.Event{Instance: "b", Shard: 1, Name: history.Locked, Text: "2026-11-25 03:20:49,000" + strings.TrimSuffix(lock, "\n")}
	if diff := cmp.Diff(want, events[0].Event); diff != "" {
		t.Error("wanted and got: ", diff)
	}
}
