package target

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cutset-dev/cutset/framework/history"
)

// Event is what the log of an instance, or of its supervisor, tells of a change of primaries.
type Event struct {
	history.Event
	At time.Time
}

// Logs has what each instance, and whoever supervises it, printed so far.
type Logs interface {
	Log(instance string) (io.ReadCloser, error)
}

// ReadEvents reads the logs of the instances, given with their shards, and returns the events since the moment, in order of time. Where
// some of the logs can't be read there is an error, and the events of the others.
func ReadEvents(logs Logs, shards map[string]int, since time.Time) ([]Event, error) {
	var all []Event
	var errs []error
	for instance, shard := range shards {
		found, err := readLog(logs, instance)
		if err != nil {
			errs = append(errs, fmt.Errorf("read the log of %s: %w", instance, err))
		}
		for _, e := range found {
			if e.At.Before(since) {
				continue
			}
			e.Instance, e.Shard = instance, shard
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b Event) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.Text, b.Text))
	})
	return slices.Compact(all), errors.Join(errs...) // a log that broke off may repeat some lines
}

func readLog(logs Logs, instance string) ([]Event, error) {
	log, err := logs.Log(instance)
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // read only
	return parseLog(log)
}

// parseLog finds the events in a log of Patroni and PostgreSQL, which may have lines of both. Lines in another form are passed over.
func parseLog(log io.Reader) (events []Event, err error) {
	recovered := false // the server is about to leave recovery
	for in := bufio.NewReader(log); ; {
		line, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return events, nil // a last line that is not complete yet is read the next time
		}
		if err != nil {
			return events, err
		}
		line = strings.TrimSpace(line)
		var name history.EventName
		switch said := what(line); said {
		case starts:
			recovered = false
		case recovers:
			recovered = true
		case ready:
			if recovered {
				name = history.Promoted
			}
			recovered = false
		default:
			name = history.EventName(said)
		}
		if at, ok := when(line); ok && name != "" {
			events = append(events, Event{At: at, Event: history.Event{Name: name, Text: line}})
		}
	}
}

// What lines say, beside the names of events.
const (
	starts   = "starts"
	recovers = "recovers"
	ready    = "ready"
)

// phrases are Patroni's, from 3.0 to 4.0, and PostgreSQL's. With the last two of Patroni's it has the lock already, and goes by it.
var phrases = []struct{ text, means string }{
	{"INFO: promoted self to leader by acquiring session lock", string(history.Locked)},
	{"INFO: acquired session lock as a leader", string(history.Locked)},
	{"INFO: promoted self to leader because I had the session lock", string(history.Locked)},
	{"INFO: demoted self ", string(history.Demoted)},
	{"INFO: demoting self ", string(history.Demoted)},
	{"INFO: Demoting self ", string(history.Demoted)},
	{"LOG:  starting PostgreSQL ", starts},
	{"LOG:  archive recovery complete", recovers},
	{"LOG:  database system is ready to accept connections", ready},
}

// what tells what a line says, "" for nothing of interest.
func what(line string) string {
	for _, p := range phrases {
		if strings.Contains(line, p.text) {
			return p.means
		}
	}
	return ""
}

// stamp is how the lines begin: Patroni's with its local time to the millisecond, after a comma, and PostgreSQL's with %m or %t of
// log_line_prefix, which ends in a zone.
var stamp = regexp.MustCompile(`^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:,(\d{3})|(\.\d{3})? (UTC|GMT|[+-]\d\d)) `)

// when is the time of a line. Patroni does not say in what zone it is; where this program starts it, as in containers if nobody
// changes that, it is UTC. A line of a server with another zone, of which only the abbreviation is known, has none.
func when(line string) (time.Time, bool) {
	parts := stamp.FindStringSubmatch(line)
	if parts == nil {
		return time.Time{}, false
	}
	if parts[2] != "" {
		at, err := time.Parse("2006-01-02 15:04:05.000", parts[1]+"."+parts[2])
		return at, err == nil
	}
	zone := parts[4]
	if zone == "UTC" || zone == "GMT" {
		zone = "+00"
	}
	at, err := time.Parse("2006-01-02 15:04:05 -07", parts[1]+parts[3]+" "+zone)
	return at, err == nil
}
