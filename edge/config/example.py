"""The example that `cageclock init` writes: every key, with its default and what it is for."""

from __future__ import annotations

from pathlib import Path

from edge.errors import OperatorError

EXAMPLE = """\
# CageClock: the settings of one device. Check them with: cageclock check FILE
# Keys with a `#` before them show their default. Numbers carry their unit in the name. No secret stands in this file.

device_id: cage07                     # a-z, 0-9 and '-': the device's name in every topic; unique in the lab
state_dir: /var/lib/cageclock         # outbox, thumbnails, model bundles

cage:
  id: cage07
  # animals: 1                        # how many are housed in it
  # subject: null                     # the animal's name; only with animals: 1
  # strain: null                      # MGI name, such as C57BL/6J; checked against what the model knows
  # nest_box: null                    # where the nest is, as fractions of the view: [x0, y0, x1, y1]

camera:
  backend: picamera                   # picamera, replay (stored pictures) or simulated (simulated mice)
  # width: 1456                       # pixels of the main stream
  # height: 1088
  # small_width: 320                  # pixels of the small view for quality gate and locator
  # px_per_mm: null                   # scale on the cage floor, pixels per mm; without it no age is ever given
  picamera:
    # number: 0
    # tuning_file: null               # such as imx708_noir.json; a NoIR module needs its own
    light:                            # locked controls in white light
      # exposure_us: null
      # analogue_gain: null
      # colour_gains: null            # [red, blue]
      # lens_position: null           # dioptres; only modules with a focus motor
    dark:                             # and in the dark phase's infrared
      # exposure_us: null
      # analogue_gain: null
      # colour_gains: null
      # lens_position: null
    # settle_timeout_s: 5.0           # how long frames may take to show the locked controls
    # capture_timeout_s: 10.0
  # replay:                           # with backend: replay
  #   path: /srv/pictures             # a folder of images, or a video file
  #   pace: schedule                  # schedule: one picture a due slot; own: the pictures' own rate
  #   loop: false
  #   frames_per_s: 1.0               # a folder's own rate
  #   every: 1                        # take each n-th picture
  simulated:                          # with backend: simulated
    # seed: 1
    # age_days_at_start: 60.0
    # strain: C57BL/6J
    # faults: {}                      # such as {3-5: timeout, 9: dark}; see edge/config/faultscript.py

schedule:
  # interval_light_s: 3600.0          # in the light phase (animals sleep in the nest)
  # interval_dark_s: 900.0            # in the dark phase; the shorter one counts while the time is unknown
  # burst_frames: 1                   # frames of one measurement
  # phase_offset_s: null              # null: from device_id, so that a fleet does not fire at once
  # windows: []                       # such as [{from_h: 13, until_h: 15, usable_readings: 2, interval_s: 120}]

light_cycle:
  # lights_on: 07:00
  # light_hours: 12.0                 # from lights on to lights off, by the clock on the wall
  # zone: "+00:00"                    # a fixed offset (most animal rooms), or an IANA zone such as Europe/Zurich

quality:                              # limits on the small view; grey levels 0-255
  # min_mean_grey: 12.0
  # max_saturated_fraction: 0.35
  # min_sharpness: 1.5
  # min_contrast: 4.0
  # max_covered_fraction: 0.2         # of the view, by something flat and dark before the lens
  # max_reference_shift_px: 6.0       # more than this against the reference view: the camera was moved

outbox:
  # max_mb: 2000
  # min_free_mb: 200                  # kept free on the card for everything else
  # keep_days: 14.0                   # released readings stay for replay, while there is space
  # reserve_mb: 4

thumbnail:
  # enabled: true
  # width: 320
  # jpeg_quality: 75
  # max_kb: 48

archive:                              # exact model crops on the device, for rescoring and retraining
  # enabled: false
  # max_mb: 500

mqtt:
  # host: localhost
  # port: 1883
  # version: "5"                      # or "3.1.1", where a refused publish cannot be seen
  # username: null
  # password_file: null               # a file, or credential:NAME for a systemd credential
  # tls:
  #   ca: /etc/cageclock/ca.pem
  #   certificate: null               # with key, for a client certificate
  #   key: null                       # a file, or credential:device.key
  # station: null                     # who logs; null: the broker's acknowledgement releases a reading
  # in_flight: 100
  # max_packet_kb: 256
  # keepalive_s: 20                   # a silent broker is noticed after twice that at most
  # resend_after_s: 15.0
  # health_interval_s: 60.0
  # home_assistant: false
  # home_assistant_prefix: homeassistant

bundle:
  # path: null                        # a bundle file; null: the active one, else the demo's (simulated mice only)
  # trusted_keys: null                # PEM files; null: only the demo bundle's own key
  # trust: null                       # the lab's trust.json, in place of keys; needs `channel`
  # threads: 1
  # channel: null                     # whose bundles are installed; null: the active one's channel, at first any
  # target_groups: []                 # the groups that this device belongs to; bundles for `any` fit every device
  # trial_captures: 20                # a new model is on trial for so many captures with it,
  # trial_minutes: 10.0               # and so many minutes of work; a failure goes back to the model before
  # fetch_hosts: null                 # from where a bundle may be fetched, such as [station.lab]; null: from mqtt.host

memory:                               # MB resident at which a process ends itself between captures, to start anew
  # capture_mb: 300
  # publish_mb: 90
"""


def write_example(path: Path) -> None:
    """Write the example to a new file.

    Raises:
        OperatorError: the file exists or cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(EXAMPLE)
    except FileExistsError as error:
        raise OperatorError(f"{path}: exists already; name another file or remove it") from error
    except OSError as error:
        raise OperatorError(f"{path}: cannot be written: {error.strerror}") from error
