// Package config gives a command's flags their values from three places: a YAML file, then the environment, then the command
// line, each over the one before. A flag `--metrics-listen` is the file's key `metrics_listen` and the variable
// SLUICE_METRICS_LISTEN, so that a setting is declared once, as a flag.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// FileDefault is read where no file is named, and need not exist.
const FileDefault = "/etc/sluice/sluice.yaml"

// FileBytesMax bounds a configuration file.
const FileBytesMax = 1 << 20

const environmentPrefix = "SLUICE_"

// ErrInvalid is wrapped by the errors about what a file or the environment says; they name the place and the key.
var ErrInvalid = errors.New("invalid configuration")

// Source is where a value comes from.
type Source string

// The sources, the weakest first.
const (
	SourceDefault     Source = "default"
	SourceFile        Source = "file"
	SourceEnvironment Source = "environment"
	SourceFlag        Source = "flag"
)

// Setting is one flag with the value that is in effect.
type Setting struct {
	Key    string `json:"key"`
	Value  string `json:"value"` // a password in a URL is masked
	Source Source `json:"source"`
}

// Key is the name of a flag in the file.
func Key(flag string) string { return strings.ReplaceAll(flag, "-", "_") }

// Variable is the name of a flag in the environment.
func Variable(flag string) string { return environmentPrefix + strings.ToUpper(Key(flag)) }

// File is what a configuration file says.
type File struct {
	Path    string
	entries []entry
}

type entry struct {
	key   string
	line  int
	value *yaml.Node
}

// Read reads a configuration file: a YAML mapping of keys to values or lists of values.
func Read(path string) (File, error) {
	opened, err := os.Open(path)
	if err != nil {
		return File{}, fmt.Errorf("reading the configuration: %w", err)
	}
	defer opened.Close()
	text, err := io.ReadAll(io.LimitReader(opened, FileBytesMax+1))
	if err != nil {
		return File{}, fmt.Errorf("reading the configuration: %w", err)
	}
	return Parse(path, text)
}

// ReadDefault reads FileDefault, and nothing where there is none.
func ReadDefault() (File, error) {
	file, err := Read(FileDefault)
	if errors.Is(err, fs.ErrNotExist) {
		return File{}, nil
	}
	return file, err
}

// Parse is Read for the text of a file.
func Parse(path string, text []byte) (File, error) {
	file := File{Path: path}
	if len(text) > FileBytesMax {
		return file, fmt.Errorf("%w: %s has more than %d bytes", ErrInvalid, path, FileBytesMax)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) {
		return file, nil
	}
	if err != nil {
		return file, fmt.Errorf("%w: %s: %w", ErrInvalid, path, err)
	}
	mapping := document.Content[0]
	if mapping.Kind == yaml.ScalarNode && mapping.Tag == "!!null" {
		return file, nil // comments alone
	}
	if mapping.Kind != yaml.MappingNode {
		return file, fmt.Errorf("%w: %s:%d: must be keys with values", ErrInvalid, path, mapping.Line)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return file, fmt.Errorf("%w: %s: holds more than one document", ErrInvalid, path)
	}
	seen := make(map[string]bool)
	for i := 0; i < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		if seen[key.Value] {
			return file, fmt.Errorf("%w: %s:%d: %s is there twice", ErrInvalid, path, key.Line, key.Value)
		}
		seen[key.Value] = true
		file.entries = append(file.entries, entry{key.Value, key.Line, value})
	}
	return file, nil
}

// Unknown is an error if the file has a key that is no flag.
func (f File) Unknown(flags *pflag.FlagSet) error {
	known := make(map[string]bool)
	flags.VisitAll(func(flag *pflag.Flag) { known[Key(flag.Name)] = true })
	for _, e := range f.entries {
		if !known[e.key] {
			return fmt.Errorf("%w: %s:%d: unknown key %q; `sluice config template` lists them all", ErrInvalid, f.Path, e.line, e.key)
		}
	}
	return nil
}

// Load sets every flag that the command line did not set, from the environment or else from the file. It returns all of
// them. Keys of the file that are no flag are passed over: see Unknown.
func Load(flags *pflag.FlagSet, file File, environment func(string) (string, bool)) ([]Setting, error) {
	entries := make(map[string]entry)
	for _, e := range file.entries {
		entries[e.key] = e
	}
	var settings []Setting
	var errs []error
	flags.VisitAll(func(flag *pflag.Flag) {
		key := Key(flag.Name)
		source := SourceDefault
		fromFile, inFile := entries[key]
		fromEnvironment, inEnvironment := environment(Variable(flag.Name))
		switch {
		case flag.Changed:
			source = SourceFlag
		case inEnvironment:
			source = SourceEnvironment
			if err := flag.Value.Set(fromEnvironment); err != nil {
				errs = append(errs, fmt.Errorf("%w: %s: %w", ErrInvalid, Variable(flag.Name), err))
			}
		case inFile:
			source = SourceFile
			if err := setFromNode(flag.Value, fromFile.value); err != nil {
				errs = append(errs, fmt.Errorf("%w: %s:%d: %s: %w", ErrInvalid, file.Path, fromFile.line, key, err))
			}
		}
		settings = append(settings, Setting{Key: key, Value: masked(flag.Value.String()), Source: source})
	})
	return settings, errors.Join(errs...)
}

// setFromNode takes a value, or a list where the flag is one.
func setFromNode(value pflag.Value, node *yaml.Node) error {
	switch node.Kind {
	case yaml.ScalarNode:
		if node.Tag == "!!null" {
			return errors.New("has no value; \"\" is the empty one")
		}
		return value.Set(node.Value)
	case yaml.SequenceNode:
		list, isList := value.(pflag.SliceValue)
		if !isList {
			return errors.New("takes one value, not a list")
		}
		var texts []string
		for _, item := range node.Content {
			if item.Kind != yaml.ScalarNode {
				return errors.New("must be a list of values")
			}
			texts = append(texts, item.Value)
		}
		return list.Replace(texts)
	}
	return errors.New("must be a value or a list of values")
}

// masked hides the password of a URL.
func masked(value string) string {
	if !strings.Contains(value, "://") {
		return value
	}
	if parsed, err := url.Parse(value); err == nil {
		return parsed.Redacted()
	}
	return value
}
