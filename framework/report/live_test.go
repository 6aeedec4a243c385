package report

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/cutset-dev/cutset/framework/plan"
)

// going is a run of a fixture that goes on: more and more of its cases are done.
type going struct {
	dir string

	mu    sync.Mutex
	whole *Report
	now   Now
	made  int // reports
}

func (g *going) where() Now {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now
}

func (g *going) results() (*Report, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.made++
	r := *g.whole
	r.Cases, r.LeftOut = r.Cases[:g.now.Done], []plan.LeftOut{{ID: "x", Reason: strings.Repeat("a long list ", 2000)}}
	r.Count()
	return &r, nil
}

func (g *going) proceeds(phase string, done int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if done > g.now.Done {
		g.now.Version++
	}
	g.now.Phase, g.now.Done = phase, done
}

// serve has the fixture's run served as if it went on.
func serve(t *testing.T) (g *going, live *Live, at string) {
	t.Helper()
	dir, r := fixture(t, "healthy")
	g = &going{dir: dir, whole: r, now: Now{Version: 1, Total: len(r.Cases), Case: "crash {m1, m3}", Phase: "holding", Left: 3 * time.Minute}}
	live = NewLive(dir, g.where, g.results)
	server := httptest.NewServer(live)
	t.Cleanup(server.Close)
	t.Cleanup(func() { live.End("over") })
	return g, live, server.URL
}

// A page that is watched follows the run by itself, and a reader stays where they are on it.
func TestWatchInBrowser(t *testing.T) {
	b := launch(t)
	g, live, at := serve(t)
	b.do(chromedp.EmulateViewport(1280, 500), chromedp.Navigate(at+"/"))
	b.await(`document.getElementById("live").textContent.includes("0 of 9 cases done · crash {m1, m3}: holding for 0 s · about 3 min left")`)
	if h1 := eval[string](b, `document.querySelector("h1").textContent`); h1 != "So far: no case was done" {
		b.Errorf("the headline is %q", h1)
	}
	g.proceeds("healing", 0)
	b.await(`document.getElementById("live").textContent.includes("healing")`)
	g.proceeds("injecting", 2)
	b.await(`document.querySelectorAll("#verdicts tbody tr").length === 2`)

	first := g.whole.Cases[0].ID
	eval[bool](b, fmt.Sprintf(`document.getElementById(%q).open = true`, first))
	b.await(fmt.Sprintf(`document.getElementById(%q).querySelector("figure svg") !== null`, first))
	eval[bool](b, `document.querySelectorAll("#verdicts thead button")[5].click(), document.querySelector("select[name=verdict]").value = "pass", true`)
	b.do(chromedp.SendKeys(chromedp.CSS(`input[name="text"]`), "crash"))
	eval[bool](b, `scrollTo(0, 600), window.before = true`)
	g.proceeds("injecting", 3)
	b.await(`window.before === undefined && document.readyState === "complete" && document.querySelectorAll("#verdicts tbody tr").length === 3`)
	place := eval[string](b, fmt.Sprintf(`[document.getElementById(%q).open, scrollY, document.querySelector("input[name=text]").value,
		document.querySelector("select[name=verdict]").value, document.querySelectorAll("#verdicts thead th")[5].ariaSort,
		document.activeElement.name].join()`, first))
	if want := "true,600,crash,pass,ascending,text"; place != want {
		b.Errorf("after the page followed the run, its reader was at %s, not at %s", place, want)
	}
	b.axe(string(unpack(t, "testdata/axe/axe.min.js.gz")))
	b.picture("watched")
	live.End("The run has ended")
	b.await(`document.querySelector(".live").textContent === "Ended. The run has ended"`)
	b.clean()
}

// await waits until the script says yes. While a page is replaced there is nobody to ask.
func (b *browser) await(script string) {
	b.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(20 * time.Second); ; {
		if yes, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](script)); err == nil && yes {
			return
		}
		select {
		case <-limit:
			b.Fatalf("waited 20 s for %s", script)
		case <-tick.C:
		}
	}
}

// Pages are made when there is something new, and from what is new.
func TestWatchedPageIsKept(t *testing.T) {
	g, live, at := serve(t)
	get := func() string {
		t.Helper()
		return fetch(t, at, "")
	}
	g.proceeds("holding", 1)
	first := get()
	if !strings.Contains(first, `data-version="2"`) || !strings.Contains(first, "connect-src &#39;self&#39;") && !strings.Contains(first, "connect-src 'self'") {
		t.Error("the page does not say which it is, or may not ask for the next")
	}
	if get(); g.made != 1 {
		t.Errorf("%d pages were made for two requests and nothing new", g.made)
	}
	g.proceeds("holding", 2)
	if second := get(); g.made != 2 || strings.Count(second, `class="timeline"`) != 2 {
		t.Errorf("another case is done, %d pages were made, and the last has %d cases", g.made, strings.Count(second, `class="timeline"`))
	}
	if read := live.seen.tails[filepath.Join(g.dir, "history.jsonl")]; read == nil || len(live.seen.cases) != len(g.whole.Cases) {
		t.Errorf("the history was not read to its end: %v", live.seen.cases)
	}
}

// Only this host may look, and at nothing but the page and the pictures of findings.
func TestWatchIsPrivate(t *testing.T) {
	g, _, at := serve(t)
	if err := os.WriteFile(filepath.Join(g.dir, "consistency-x.html"), []byte("a picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := fetch(t, at+"/consistency-x.html", ""); got != "a picture" {
		t.Errorf("the picture of a finding is %q", got)
	}
	for path, host := range map[string]string{
		"/history.jsonl": "", "/report.json": "", "/logs/harness.log": "", "/consistency-..%2freport.json": "", "/": "cutset.example.com", "/events": "cutset.example.com:80",
	} {
		if got := fetch(t, at+path, host); got != "" {
			t.Errorf("%s as %q gives %.60q", path, host, got)
		}
	}
}

// fetch returns what there is at an address, "" if it is refused.
func fetch(t *testing.T, at, host string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		return ""
	}
	return string(text)
}
