# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
# Sourced by ./dev: the prerequisites, the two Python environments, and the shell that ROS needs.
# shellcheck shell=bash

UV_VERSION=0.13.9
UV=()

say() {
  if [[ -t 1 ]]; then printf '\033[1m==> %s\033[0m\n' "$*"; else printf '==> %s\n' "$*"; fi
}

die() {
  echo "dev: $*" >&2
  exit 1
}

# --- prerequisites --------------------------------------------------------------------------------

# Set PYTHON to an interpreter that runs and is 3.11 or 3.12.
find_python() {
  local candidate
  local candidates=(${PYTHON:+"$PYTHON"} python3 python3.12 python3.11)
  # apt's rclpy belongs to the system's interpreter.
  [[ -n ${ROS_DISTRO-} ]] && candidates=(/usr/bin/python3)
  for candidate in "${candidates[@]}" uv; do
    [[ $candidate != uv ]] || candidate=$(uv python find --system '>=3.11,<3.13' 2>/dev/null) || continue
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null; then
      PYTHON=$candidate
      return 0
    fi
  done
  return 1
}

# Every unmet need at once, each with the line that mends it.
check_prerequisites() {
  local problems=() gigabytes=4 free
  case ${ROS_DISTRO-} in
    '')
      [[ $(uname -sm) == 'Linux x86_64' ]] ||
        problems+=("ROS comes as wheels for Linux x86-64 only, this is $(uname -sm): install ROS 2 Jazzy or Kilted and source its setup.bash")
      ;;
    jazzy | kilted) ;;
    *) problems+=("ROS 2 $ROS_DISTRO is sourced, Jazzy and Kilted are supported: source one of those, or unset ROS_DISTRO to use the wheels") ;;
  esac
  if find_python; then
    local name
    name=$("$PYTHON" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    "$PYTHON" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
      problems+=("$PYTHON has no headers (Python.h):  sudo apt install $name-dev")
    find_uv || "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null ||
      problems+=("$PYTHON cannot make virtual environments:  sudo apt install $name-venv")
  else
    problems+=('Python 3.11 or 3.12 was not found:  sudo apt install python3 python3-dev python3-venv   (Debian 12, Ubuntu 24.04; elsewhere: uv python install 3.12)')
  fi
  command -v g++ >/dev/null || problems+=('no C++ compiler:  sudo apt install g++')
  if ! environment_is_ready .venv "$(ros_fingerprint)"; then
    # PyTorch from PyPI brings CUDA; a folder of wheels or the CPU back end does not.
    [[ -n $(find_links)${UV_TORCH_BACKEND-} ]] || gigabytes=12
    free=$(($(df -Pk "$ROOT" | awk 'NR == 2 {print $4}') / 1048576))
    ((free >= gigabytes)) || problems+=("$free GB free in $ROOT, $gigabytes GB needed:  make room there, or clone to another disk")
  fi
  ((${#problems[@]})) || return 0
  printf 'dev: %s\n' "${problems[@]}" >&2
  exit 1
}

# --- Python environments --------------------------------------------------------------------------

# Set UV to a uv that runs. Return 1 where there is none.
find_uv() {
  if uv --version >/dev/null 2>&1; then
    UV=(uv)
  elif "${PYTHON:-python3}" -m uv --version >/dev/null 2>&1; then
    UV=("$PYTHON" -m uv)
  else
    return 1
  fi
}

# Print the folders or pages of wheels that pip has been told about; uv does not ask pip.
find_links() {
  if [[ -n ${PIP_FIND_LINKS-} ]]; then
    echo "$PIP_FIND_LINKS"
  elif [[ -n ${PYTHON-} ]]; then
    "$PYTHON" -m pip config get global.find-links 2>/dev/null || true
  fi
}

# Print what an environment depends on; a different print means that it must be set up again.
fingerprint() {
  local file
  {
    echo "$ROOT" "${ROS_DISTRO-wheels}"
    for file in "$@"; do cat "$ROOT/requirements/$file.txt"; done
    cat "$ROOT/requirements/constraints.txt"
  } | sha256sum | cut -d' ' -f1
}

CORE_REQUIREMENTS=(core numpy_2 train dev)
if [[ -n ${ROS_DISTRO-} ]]; then
  ROS_REQUIREMENTS=(core numpy_1 train dev person colcon)
else
  ROS_REQUIREMENTS=(core numpy_2 train dev person colcon ros_kilted)
fi

ros_fingerprint() { fingerprint "${ROS_REQUIREMENTS[@]}"; }

# environment_is_ready FOLDER FINGERPRINT
environment_is_ready() {
  [[ -x $ROOT/$1/bin/python && $(cat "$ROOT/$1/.vlo_fingerprint" 2>/dev/null) == "$2" ]]
}

# make_environment FOLDER REQUIREMENTS...: idempotent; interrupted, the next call goes on.
make_environment() {
  local folder=$1 wanted site=()
  shift
  wanted=$(fingerprint "$@")
  environment_is_ready "$folder" "$wanted" && return
  check_prerequisites
  [[ $folder == .venv && -n ${ROS_DISTRO-} ]] && site=(--system-site-packages)
  say "$folder: setting up with $("$PYTHON" --version), once; takes minutes where much is to be downloaded"

  # An environment does not survive being moved, nor the loss of its interpreter.
  if [[ -d $ROOT/$folder ]] && ! environment_belongs_here "$folder"; then rm -rf "${ROOT:?}/$folder"; fi
  if [[ ! -x $ROOT/$folder/bin/python ]]; then
    if find_uv; then
      "${UV[@]}" venv --quiet --python "$PYTHON" "${site[@]}" "$ROOT/$folder"
    else
      "$PYTHON" -m venv "${site[@]}" "$ROOT/$folder"
    fi
  fi
  install_requirements "$ROOT/$folder/bin/python" "$@"
  if [[ $folder == .venv && -z ${ROS_DISTRO-} ]]; then
    "$ROOT/$folder/bin/python" "$ROOT/cmake/repair_wheel_exports.py"
    make_wheels_sourceable "$ROOT/$folder"
  fi
  echo "$wanted" >"$ROOT/$folder/.vlo_fingerprint"
}

environment_belongs_here() {
  grep -qsF "$ROOT/$1" "$ROOT/$1/bin/activate" && "$ROOT/$1/bin/python" -c '' 2>/dev/null
}

# install_requirements PYTHON NAMES...
install_requirements() {
  local python=$1 name link links=() wanted=(--constraint "$ROOT/requirements/constraints.txt")
  shift
  for name in "$@"; do wanted+=(--requirement "$ROOT/requirements/$name.txt"); done
  for link in $(find_links); do links+=(--find-links "$link"); done
  if ! find_uv && "$python" -m pip install --quiet "uv==$UV_VERSION"; then UV=("$python" -m uv); fi
  if [[ -n ${UV-} ]]; then
    UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-300}" without_package_list \
      "${UV[@]}" pip install --python "$python" \
      ${PIP_INDEX_URL:+--index-url "$PIP_INDEX_URL"} "${links[@]}" "${wanted[@]}" && return
    say 'uv could not install the requirements; trying pip'
    "$python" -m ensurepip >/dev/null
  fi
  "$python" -m pip install "${wanted[@]}"
}

# uv draws its progress on a terminal; elsewhere spare the reader two hundred lines.
without_package_list() {
  if [[ -t 2 ]]; then "$@"; else "$@" 2> >(grep -v '^ [+-] ' >&2); fi
}

make_core_environment() { make_environment .venv-core "${CORE_REQUIREMENTS[@]}"; }
make_ros_environment() {
  check_prerequisites
  make_environment .venv "${ROS_REQUIREMENTS[@]}"
}

# --- ROS ------------------------------------------------------------------------------------------

# The root of the wheels' environment is an ament prefix without the scripts of one. With them
# colcon chains it, so that sourcing install/setup.bash alone is enough.
make_wheels_sourceable() {
  local script
  for script in local_setup.sh local_setup.bash local_setup.zsh; do
    cat >"$1/$script" <<END
case ":\${AMENT_PREFIX_PATH-}:" in
  *":$1:"*) ;;
  *) export AMENT_PREFIX_PATH="$1\${AMENT_PREFIX_PATH:+:\$AMENT_PREFIX_PATH}" ;;
esac
END
  done
}

# Forget an overlay or a ROS that the caller has sourced.
leave_ros() {
  unset PYTHONPATH PYTHONHOME AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH
  # Set by the wheels in every process they start; without its LD_LIBRARY_PATH rclpy does not load.
  unset _ROS_WHEELS_BOOTSTRAP_COMPLETE
}

enter_ros() {
  if [[ -z ${ROS_DISTRO-} ]]; then
    leave_ros
    export AMENT_PREFIX_PATH="$ROOT/.venv" RMW_IMPLEMENTATION=rmw_fastrtps_cpp
  fi
  export VIRTUAL_ENV="$ROOT/.venv" PATH="$ROOT/.venv/bin:$PATH"
}

# CMake refuses a build folder made elsewhere or for another interpreter: start afresh.
discard_foreign_build() {
  local mark made_for
  mark="$ROOT ${ROS_DISTRO-wheels} $(.venv/bin/python --version)"
  made_for=$(cat build/.vlo_made_for 2>/dev/null || true)
  if [[ -d build/vlo_ros && $made_for != "$mark" ]]; then
    say 'the build folder was made for another environment: removing build/vlo_ros and install/vlo_ros'
    rm -rf build/vlo_ros install/vlo_ros
  fi
  mkdir -p build
  echo "$mark" >build/.vlo_made_for
  # Ninja comes with the wheels, so that make need not be there.
  if [[ -z ${ROS_DISTRO-} && ! -f build/vlo_ros/CMakeCache.txt ]]; then export CMAKE_GENERATOR=Ninja; fi
}

# Best-effort images larger than 0.5 MB are nearly all lost on the default transport of Fast DDS.
configure_middleware() {
  export FASTDDS_BUILTIN_TRANSPORTS="${FASTDDS_BUILTIN_TRANSPORTS:-LARGE_DATA?max_msg_size=2MB&sockets_size=2MB&non_blocking=true}"
  export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"
}

# Print a domain on whose discovery port nobody listens.
free_domain() {
  local domain
  while true; do
    domain=$((RANDOM % 101 + 1))
    if ! grep -qi ":$(printf '%04X' $((7400 + 250 * domain))) " /proc/net/udp; then break; fi
  done
  echo "$domain"
}
