package sluice

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// [package](path) `name`, `name`
	hop      = regexp.MustCompile("\\]\\(([a-z_/0-9]+\\.(?:go|c))\\)((?:,? `\\w+`)+)")
	hopName  = regexp.MustCompile("`(\\w+)`")
	document = regexp.MustCompile(`\]\(([A-Za-z_/0-9.-]+)\)`)
)

// Every function that ARCHITECTURE.md names stands in the file that it links.
func TestArchitectureNamesTheCode(t *testing.T) {
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	hops := hop.FindAllStringSubmatch(string(text), -1)
	if len(hops) < 20 {
		t.Fatalf("found %d hops only: has the form of the tables changed?", len(hops))
	}
	for _, match := range hops {
		source, err := os.ReadFile(match[1])
		if err != nil {
			t.Error(err)
			continue
		}
		for _, name := range hopName.FindAllStringSubmatch(match[2], -1) {
			definition := regexp.MustCompile(`(?m)^(func (\([^)]*\) )?|[a-z].*[ *])` + name[1] + `(\[[^]]*\])?\(`)
			if !definition.Match(source) {
				t.Errorf("%s defines no %s", match[1], name[1])
			}
		}
	}
}

// No document links to a file that is not there.
func TestDocumentsLinkToFiles(t *testing.T) {
	documents, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(documents, "README.md", "ARCHITECTURE.md") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range document.FindAllStringSubmatch(string(text), -1) {
			target := filepath.Join(filepath.Dir(path), match[1])
			if strings.Contains(match[1], "://") {
				continue
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s: %v", path, match[1], err)
			}
		}
	}
}
