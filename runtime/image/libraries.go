package image

import (
	"bufio"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// systemDirs are searched after those of ld.so.conf (ld.so(8)); machines name their own below /lib and /usr/lib.
var systemDirs = []string{"/lib64", "/usr/lib64", "/lib", "/usr/lib"}

// openCLLoader need not be there: a container whose image has none is given one.
const openCLLoader = "libOpenCL.so.1"

const configDepthMax = 8 // of include lines in ld.so.conf

// resolver finds libraries on this machine as ld.so does, without its cache, and gathers them for the image.
type resolver struct {
	dirs  []string          // the system's search path
	local map[string]bool   // image paths of the program's own folder, which come with it anyway
	taken map[string]bool   // image paths that are gathered
	found map[string]string // library name found on the system's search path -> host path
	files []entry
}

func newResolver(folder []entry) *resolver {
	dirs := readLoaderConfig("/etc/ld.so.conf", configDepthMax)
	r := &resolver{
		dirs: append(dirs, systemDirs...), local: make(map[string]bool), taken: make(map[string]bool), found: make(map[string]string),
	}
	for _, file := range folder {
		r.local["/"+file.name] = true
	}
	return r
}

// gather adds the loader and all libraries, direct and indirect, that the program needs. origin is the image folder it lies in.
func (r *resolver) gather(p *program, origin string) error {
	if p.interpreter != "" {
		r.found[path.Base(p.interpreter)] = p.interpreter // libc links its loader by name
		if err := r.add(p.interpreter, p.interpreter, p); err != nil {
			return fmt.Errorf("loader: %w", err)
		}
	}
	for _, name := range p.needed {
		if err := r.need(name, p, origin); err != nil {
			return err
		}
	}
	return nil
}

// muslLibrary is what programs and libraries for musl need; of glibc, a file of this name is a linker script.
const muslLibrary = "libc.so"

// muslDirs is where musl's loader looks, and where a machine with another libc keeps what is for musl.
func muslDirs() []string {
	dirs, _ := filepath.Glob("/usr/lib/*-linux-musl")
	return append(dirs, "/lib", "/usr/local/lib", "/usr/lib")
}

// need finds one library.
func (r *resolver) need(name string, by *program, origin string) error {
	if name == "" || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("%w: linked as %q: only names without a folder are supported", ErrLibrary, name)
	}
	for _, dir := range by.searchPath {
		dir = path.Clean(strings.NewReplacer("$ORIGIN", origin, "${ORIGIN}", origin).Replace(dir))
		if !path.IsAbs(dir) {
			continue
		}
		if r.local[path.Join(dir, name)] {
			return nil
		}
		if host := path.Join(dir, name); !strings.HasPrefix(dir, Folder+"/") && fits(host, by) {
			return r.add(host, host, by)
		}
	}
	if r.found[name] != "" {
		return nil
	}
	if name == muslLibrary { // it is the loader of the program, which names it
		return nil
	}
	dirs := r.dirs
	if slices.Contains(by.needed, muslLibrary) {
		dirs = muslDirs()
	}
	for _, dir := range dirs {
		if host := path.Join(dir, name); fits(host, by) {
			r.found[name] = host
			return r.add(host, r.place(host), by)
		}
	}
	if name == openCLLoader {
		return nil
	}
	return fmt.Errorf("%w: %s (searched %s): install the package that has it", ErrLibrary, name, strings.Join(dirs, ", "))
}

// place keeps a library where every loader looks; those of folders that only this machine's ld.so.conf names move to /usr/lib.
func (r *resolver) place(host string) string {
	dir := path.Dir(host)
	for _, system := range systemDirs {
		if dir == system || path.Dir(dir) == system && strings.Contains(path.Base(dir), "-linux-") {
			return host
		}
	}
	return path.Join("/usr/lib", path.Base(host))
}

// add gathers a host file and what it needs in turn.
func (r *resolver) add(host, place string, by *program) error {
	place = path.Clean(place)
	if r.taken[place] {
		return nil
	}
	if len(r.files) >= LibrariesMax {
		return fmt.Errorf("%w: more than %d libraries", ErrInvalid, LibrariesMax)
	}
	read, size, err := readHost(host)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLibrary, err)
	}
	if !compatible(read, by) {
		return fmt.Errorf("%w: %s is built for another machine", ErrLibrary, host)
	}
	r.taken[place] = true
	r.files = append(r.files, entry{
		name: strings.TrimPrefix(place, "/"), mode: 0o755, size: size,
		open: func() (*os.File, error) { return os.Open(host) },
	})
	return r.gather(read, path.Dir(place))
}

func fits(host string, by *program) bool {
	read, _, err := readHost(host)
	return err == nil && compatible(read, by)
}

func compatible(library, by *program) bool {
	return library != nil && library.class == by.class && library.machine == by.machine
}

func readHost(name string) (*program, int64, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s is no regular file", name)
	}
	read, err := readProgram(file)
	return read, info.Size(), err
}

// readLoaderConfig returns the folders that ld.so.conf(5) and the files it includes name.
func readLoaderConfig(name string, depth int) []string {
	file, err := os.Open(name)
	if err != nil || depth == 0 {
		return nil
	}
	defer file.Close()
	var dirs []string
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		line, _, _ := strings.Cut(scanner.Text(), "#")
		line = strings.TrimSpace(line)
		if pattern, ok := strings.CutPrefix(line, "include "); ok {
			pattern = strings.TrimSpace(pattern)
			if !filepath.IsAbs(pattern) {
				pattern = filepath.Join(filepath.Dir(name), pattern)
			}
			included, _ := filepath.Glob(pattern)
			for _, each := range included {
				dirs = append(dirs, readLoaderConfig(each, depth-1)...)
			}
		} else if filepath.IsAbs(line) && !slices.Contains(dirs, line) {
			dirs = append(dirs, filepath.Clean(line))
		}
	}
	return dirs
}
