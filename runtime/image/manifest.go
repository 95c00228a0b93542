package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// ManifestName is the optional file that says what else than the default an image holds.
const ManifestName = "image.yaml"

const (
	manifestBytesMax = 64 << 10
	manifestItemsMax = 1_000
)

var userPattern = regexp.MustCompile(`^[0-9]{1,9}:[0-9]{1,9}$`)

// manifest is the content of image.yaml.
type manifest struct {
	// Entrypoint is the program, relative to the folder, and its arguments. Default: the folder's only program.
	Entrypoint []string `yaml:"entrypoint"`
	// Include lists files, folders and patterns (path.Match) relative to the folder. Default: all but hidden files.
	Include []string `yaml:"include"`
	// Libraries names shared libraries that are loaded at run time (dlopen), such as libOpenCL.so.1.
	Libraries []string `yaml:"libraries"`
	// User is whom the program runs as, uid:gid. Default: User.
	User string `yaml:"user"`
}

// readManifest returns the zero manifest where the folder has none.
func readManifest(root *os.Root) (manifest, error) {
	var m manifest
	content, err := readLimited(root, ManifestName, manifestBytesMax)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return m, fmt.Errorf("%w: %s: %w", ErrInvalid, ManifestName, err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(&m); err != nil && !errors.Is(err, io.EOF) {
		return m, fmt.Errorf("%w: %s: %w", ErrInvalid, ManifestName, err)
	}
	if err := m.validate(); err != nil {
		return m, fmt.Errorf("%w: %s: %w", ErrInvalid, ManifestName, err)
	}
	return m, nil
}

func (m manifest) validate() error {
	for _, list := range [][]string{m.Entrypoint, m.Include, m.Libraries} {
		if len(list) > manifestItemsMax {
			return fmt.Errorf("a list has %d items, may have %d", len(list), manifestItemsMax)
		}
	}
	if len(m.Entrypoint) > 0 && !filepath.IsLocal(m.Entrypoint[0]) {
		return fmt.Errorf("entrypoint %q is not a path inside the folder", m.Entrypoint[0])
	}
	for _, pattern := range m.Include {
		if _, err := path.Match(pattern, ""); err != nil || !filepath.IsLocal(pattern) {
			return fmt.Errorf("include %q is not a path or pattern inside the folder", pattern)
		}
	}
	if m.User != "" && !userPattern.MatchString(m.User) {
		return fmt.Errorf("user %.40q is not uid:gid, such as 0:0", m.User)
	}
	for _, name := range m.Libraries {
		if name == "" || strings.ContainsAny(name, "/\x00") {
			return fmt.Errorf("library %q is not a file name", name)
		}
	}
	return nil
}

// includes says whether a file, given by its clean slash path, belongs to the image.
func (m manifest) includes(name string) bool {
	if len(m.Include) == 0 {
		return name != ManifestName && !hidden(name)
	}
	for prefix := name; prefix != "."; prefix = path.Dir(prefix) {
		for _, pattern := range m.Include {
			if matched, _ := path.Match(path.Clean(pattern), prefix); matched {
				return true
			}
		}
	}
	return len(m.Entrypoint) > 0 && name == path.Clean(m.Entrypoint[0])
}

func hidden(name string) bool {
	for _, part := range strings.Split(name, "/") {
		if strings.HasPrefix(part, ".") {
			return true
		}
	}
	return false
}

// readLimited reads a regular file of at most limit bytes.
func readLimited(root *os.Root, name string, limit int64) ([]byte, error) {
	file, _, err := openRegular(root, name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = fmt.Errorf("has more than %d bytes", limit)
	}
	return content, err
}
