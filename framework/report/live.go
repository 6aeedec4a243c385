package report

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/cutset-dev/cutset/faultcalc"
)

// Now is where a run is.
type Now struct {
	Version     int // grows whenever there is another verdict
	Done, Total int // cases
	Case        string
	Phase       string        // what it is about
	For         time.Duration // since when
	Left        time.Duration // of the whole run; 0 if nobody knows
}

// String is one line.
func (n Now) String() string {
	var parts []string
	if n.Total > 0 {
		parts = append(parts, fmt.Sprintf("%d of %s done", n.Done, count(n.Total, "case")))
	}
	doing := fmt.Sprintf("%s for %.0f s", n.Phase, n.For.Seconds())
	if n.Case != "" {
		doing = n.Case + ": " + doing
	}
	parts = append(parts, doing)
	switch {
	case n.Left > 90*time.Second:
		parts = append(parts, fmt.Sprintf("about %.0f min left", n.Left.Minutes()))
	case n.Left > 0:
		parts = append(parts, fmt.Sprintf("about %.0f s left", n.Left.Round(5*time.Second).Seconds()))
	}
	return strings.Join(parts, " · ")
}

// Live serves the page of a run that goes on. The page follows by itself.
type Live struct {
	dir     string
	now     func() Now
	results func() (*Report, error)
	routes  *http.ServeMux
	ended   context.Context
	end     context.CancelCauseFunc

	mu      sync.Mutex // of what follows: one page is made at a time
	seen    *observer
	page    []byte
	version int
	made    time.Time
}

// fresh is how long a page is served again, if there is no other verdict.
const fresh = 5 * time.Second

// NewLive serves a run whose files are in the directory. Both functions are called from any goroutine.
func NewLive(dir string, now func() Now, results func() (*Report, error)) *Live {
	l := &Live{dir: dir, now: now, results: results, routes: http.NewServeMux()}
	l.ended, l.end = context.WithCancelCause(context.Background())
	l.routes.HandleFunc("GET /{$}", l.servePage)
	l.routes.HandleFunc("GET /events", l.serveEvents)
	l.routes.HandleFunc("GET /{picture}", l.servePicture)
	return l
}

// End tells everybody who looks that the run ended, and why there is nothing more to see.
func (l *Live) End(text string) { l.end(errors.New(text)) }

// ServeHTTP answers this host only, by its own names: a page from elsewhere can't have a browser ask in the name of another.
func (l *Live) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if !Loopback(host) {
		http.Error(w, "only this host may look, at localhost or 127.0.0.1", http.StatusForbidden)
		return
	}
	l.routes.ServeHTTP(w, r)
}

// Loopback tells whether a host name is one of this host's own.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (l *Live) servePage(w http.ResponseWriter, _ *http.Request) {
	text, err := l.render()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(text) // who went away does not need it
}

// servePicture serves what findings link to, and nothing else of the run's directory.
func (l *Live) servePicture(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("picture")
	if fits, err := filepath.Match("consistency-*.html", name); err != nil || !fits {
		http.NotFound(w, r)
		return
	}
	http.ServeFile(w, r, filepath.Join(l.dir, name))
}

// serveEvents tells where the run is, every second, and which page is the newest.
func (l *Live) serveEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := http.NewResponseController(w)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		now := l.now()
		_, err := fmt.Fprintf(w, "event: page\ndata: %d\n\nevent: now\ndata: %s\n\n", now.Version, now)
		if err != nil || out.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-l.ended.Done():
			_, _ = fmt.Fprintf(w, "event: end\ndata: %s\n\n", context.Cause(l.ended))
			return
		case <-tick.C:
		}
	}
}

// render makes a page of what there is, or takes the last one while that is fresh.
func (l *Live) render() ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if l.page != nil && now.Version == l.version && time.Since(l.made) < fresh {
		return l.page, nil
	}
	r, err := l.results()
	if err != nil {
		return nil, err
	}
	topology, err := readTopology(l.dir)
	if err != nil {
		return nil, err
	}
	w := witness{dir: l.dir, runs: []string{l.dir}}
	if w.seen, err = l.look(topology); err != nil {
		return nil, err
	}
	p, err := r.view(w, topology, nil)
	if err != nil {
		return nil, err
	}
	p.Live = &now
	p.Head.Sentence = "So far: " + strings.ToLower(p.Head.Sentence[:1]) + p.Head.Sentence[1:]
	text, err := p.fill()
	if err == nil {
		l.page, l.version, l.made = text, now.Version, time.Now()
	}
	return text, err
}

// look reads on in the histories, from where the last page was made. What was read while it was not known where the shards are is
// read again.
func (l *Live) look(topology faultcalc.Topology) (map[string]*observed, error) {
	if l.seen != nil && len(l.seen.topology.Tables) > 0 {
		return l.seen.cases, l.seen.look()
	}
	var err error
	if l.seen, err = observe(l.dir, topology); err != nil {
		return nil, err
	}
	return l.seen.cases, nil
}
