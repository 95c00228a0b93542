package image

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// baseFiles make names of users and hosts resolvable.
var baseFiles = map[string]string{
	"etc/passwd":        "root:x:0:0:root:/:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n",
	"etc/group":         "root:x:0:\nnogroup:x:65534:\n",
	"etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
	"etc/hosts":         "127.0.0.1 localhost\n::1 localhost\n",
}

// baseFolders are what a container mounts something on, since its root is read-only.
var baseFolders = []string{"app", "dev", "etc/OpenCL/vendors", "proc", "run/function", "run/sluice", "sys", "tmp"}

const (
	folderMode = 0o755
	tmpMode    = 0o1777
)

func baseEntries() []entry {
	var entries []entry
	for name, content := range baseFiles {
		entries = append(entries, entry{name: name, mode: 0o644, size: int64(len(content)), content: []byte(content)})
	}
	return entries
}

// writeLayer writes a tar whose bytes depend on nothing but the entries: sorted, without times and owners.
func writeLayer(w io.Writer, entries []entry) error {
	entries = append(slices.Clone(entries), folders(entries)...)
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	archive := tar.NewWriter(w)
	for i, item := range entries {
		if i > 0 && entries[i-1].name == item.name {
			return fmt.Errorf("%w: %s comes from two places", ErrInvalid, item.name)
		}
		if err := writeEntry(archive, item); err != nil {
			return fmt.Errorf("write %s: %w", item.name, err)
		}
	}
	return archive.Close()
}

// folders returns an entry for every folder that the entries lie in, and for the base folders.
func folders(entries []entry) []entry {
	names := make(map[string]bool)
	add := func(name string) {
		for ; name != "." && !names[name]; name = path.Dir(name) {
			names[name] = true
		}
	}
	for _, name := range baseFolders {
		add(name)
	}
	for _, item := range entries {
		add(path.Dir(item.name))
	}
	var made []entry
	for name := range names {
		mode := fs.ModeDir | folderMode
		if name == "tmp" {
			mode = fs.ModeDir | tmpMode
		}
		made = append(made, entry{name: name, mode: mode})
	}
	return made
}

func writeEntry(archive *tar.Writer, item entry) error {
	header := &tar.Header{Name: item.name, Mode: int64(item.mode & 0o7777), Size: item.size, Typeflag: tar.TypeReg, Format: tar.FormatPAX}
	if item.mode.IsDir() {
		header.Name, header.Typeflag = item.name+"/", tar.TypeDir
	}
	if err := archive.WriteHeader(header); err != nil || item.mode.IsDir() {
		return err
	}
	content := io.Reader(bytes.NewReader(item.content))
	if item.open != nil {
		file, err := item.open()
		if err != nil {
			return err
		}
		defer file.Close()
		content = file
	}
	// A file that grew or shrank since it was looked at makes this fail rather than the archive wrong.
	copied, err := io.Copy(archive, content)
	if err == nil && copied != item.size {
		err = fmt.Errorf("%w: file changed while it was read", ErrInvalid)
	}
	return err
}
