package report

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

var screenshots = flag.String("screenshots", "", "leave pictures of the page in this `directory`")

// browser is one page in a headless Chromium, and what went wrong in it.
type browser struct {
	*testing.T
	ctx context.Context

	mu       sync.Mutex
	problems []string
}

// launch starts Chromium, or skips the test.
func launch(t *testing.T) *browser {
	t.Helper()
	found := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil && found == "" {
			found = path
		}
	}
	if found == "" {
		t.Skip("no Chromium is installed, so nobody opens the page; install it (Debian: apt-get install chromium) to run this test")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(found), chromedp.NoSandbox)
	ctx, cancelAll := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancelAll)
	ctx, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, stop := context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(stop)
	b := &browser{T: t, ctx: ctx}
	messages := chromedp.Console(ctx) // the page's policy has Chromium complain here of a request to the network, too
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			b.problem(m.String())
		}
	}()
	return b
}

func (b *browser) problem(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problems = append(b.problems, text)
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.Fatal(err)
	}
}

// eval runs a script and returns what it comes to.
func eval[T any](b *browser, script string) T {
	b.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		b.Fatal(err)
	}
	return value
}

// clean fails the test if the page complained about anything, or asked the network for anything.
func (b *browser) clean() {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems {
		b.Error(p)
	}
	b.problems = nil
}

// picture takes a screenshot of the whole page, where they are asked for.
func (b *browser) picture(name string) {
	b.Helper()
	if *screenshots == "" {
		return
	}
	eval[bool](b, `dispatchEvent(new Event("beforeprint")), true`) // draws what is not in view, too
	image, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*screenshots, name+".png"), image, 0o600); err != nil {
		b.Fatal(err)
	}
}

// axe looks for violations of accessibility rules, with everything unfolded.
func (b *browser) axe(script string) {
	b.Helper()
	found := eval[string](b, script+`;
		document.querySelectorAll("details").forEach((d) => { d.open = true; });
		dispatchEvent(new Event("beforeprint")); // draws what is not in view, too
		axe.run().then((r) => JSON.stringify({passes: r.passes.length, violations: r.violations.map((v) =>
			({id: v.id, help: v.help, nodes: v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200) + " " + n.failureSummary)}))}))`)
	var result struct {
		Passes     int
		Violations []struct {
			ID, Help string
			Nodes    []string
		}
	}
	if err := json.Unmarshal([]byte(found), &result); err != nil {
		b.Fatal(err)
	}
	if result.Passes < 20 {
		b.Errorf("axe: only %d rules had something to look at", result.Passes)
	}
	for _, v := range result.Violations {
		b.Errorf("axe: %s: %s\n\t%s", v.ID, v.Help, strings.Join(v.Nodes, "\n\t"))
	}
}

func (b *browser) theme(name string) {
	b.Helper()
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
		b.Fatal(err)
	}
}

func TestInBrowser(t *testing.T) {
	b := launch(t)
	axe := string(unpack(t, "testdata/axe/axe.min.js.gz"))
	for _, run := range []string{"healthy", "failing"} {
		file, r := writePage(t, run)
		for _, scheme := range []string{"light", "dark"} {
			b.theme(scheme)
			b.do(chromedp.EmulateViewport(1280, 900), chromedp.Navigate("file://"+file))
			b.picture(run + "-" + scheme)
			b.axe(axe)
			b.picture(run + "-" + scheme + "-unfolded")
			b.clean()
		}
		b.anchors(file, r)
		b.tables(r)
		b.clean()
	}
}

// anchors: the address of every case opens it, with its time line drawn.
func (b *browser) anchors(file string, r *Report) {
	b.Helper()
	for _, c := range r.Cases {
		b.do(chromedp.Navigate("about:blank"), chromedp.Navigate("file://"+file+"#"+c.ID))
		shown := eval[string](b, `(() => {
			const d = document.querySelector(":target");
			const bar = d?.querySelector("figure svg rect title")?.textContent;
			return [d?.id, d?.open, bar?.split(",")[0]].join(" ");
		})()`)
		if want := c.ID + " true shard 1"; shown != want {
			b.Errorf("the address of case %s shows %q, not %q", c.ID, shown, want)
		}
	}
	dead := eval[[]string](b, `[...document.querySelectorAll("a[href^='#']")].map((a) => decodeURIComponent(a.hash.slice(1))).filter((id) => !document.getElementById(id))`)
	if len(dead) > 0 {
		b.Errorf("links that lead nowhere: %v", dead)
	}
}

// tables: a click, or the keyboard, sorts; words and a verdict filter.
func (b *browser) tables(r *Report) {
	b.Helper()
	const rows = `[...document.querySelectorAll("#verdicts tbody tr")].filter((r) => !r.hidden)`
	const outages = `document.querySelectorAll("#verdicts thead button")[5]`
	column := func() []float64 { return eval[[]float64](b, rows+`.map((r) => Number(r.cells[5].dataset.sort))`) }
	eval[bool](b, outages+`.click(), true`)
	if got := column(); !slices.IsSorted(got) || len(got) != len(r.Cases) {
		b.Errorf("sorted by outage: %v", got)
	}
	eval[bool](b, outages+`.focus(), true`)
	b.do(chromedp.KeyEvent("\r"))
	got := column()
	if slices.Reverse(got); !slices.IsSorted(got) {
		b.Errorf("sorted by falling outage: %v", got)
	}
	if sort := eval[string](b, outages+`.parentElement.ariaSort`); sort != "descending" {
		b.Errorf("aria-sort is %q", sort)
	}
	b.do(chromedp.SendKeys(chromedp.CSS(`input[name="text"]`), "M1+M2"))
	want := 0
	for _, c := range r.Cases {
		if strings.Contains(c.ID, "m1+m2") {
			want++
		}
	}
	if got := eval[int](b, rows+`.length`); got != want || want == 0 || want == len(r.Cases) {
		b.Errorf("%d of %d cases are of m1+m2, and the filter shows %d", want, len(r.Cases), got)
	}
	b.do(chromedp.SendKeys(chromedp.CSS(`select[name="verdict"]`), "i")) // by keyboard: indeterminate
	if got := eval[int](b, rows+`.length`); got != 0 {
		b.Errorf("no case is indeterminate, and the filter shows %d", got)
	}
}
