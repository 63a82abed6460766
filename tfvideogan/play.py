"""Opens a page on this machine that draws clips from a trained generator:
`python -m tfvideogan.play --module=EXPORT | --workdir=DIR [--port=8080] [--host=127.0.0.1]`.

Choose a class, drag the seed and the truncation, go between two latents, keep a clip's content or its motion where the model tells them
apart, give a video to continue or to translate, and keep the clip as a GIF or an MP4. Nothing leaves the machine; another one reaches the
page only if --host asks for an address that it can reach, without encryption or passwords.
"""

from absl import flags, logging

from tfvideogan.cli import define_generator_flags, launch, open_generator
from tfvideogan.config import Config, UserError
from tfvideogan.generation.module import EXPORT_TRUNCATIONS
from tfvideogan.playground.server import Playground

define_generator_flags()
PORT = flags.DEFINE_integer("port", 8080, "Port of the page; 0 takes a free one.", lower_bound=0, upper_bound=65535)
HOST = flags.DEFINE_string("host", "127.0.0.1", "Address to listen on; 0.0.0.0 is all of this machine's.")


def main(config: Config) -> None:
    generator = open_generator(config, truncations=EXPORT_TRUNCATIONS)
    try:
        playground = Playground(generator, HOST.value, PORT.value)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"--host={HOST.value} --port={PORT.value}: {reason}, expected a free port: 0 takes one") from error
    logging.info("%s is at %s (Ctrl-C ends it)", generator.name, playground.address)
    with playground:
        try:
            playground.serve_forever()
        except KeyboardInterrupt:
            logging.info("ended")


if __name__ == "__main__":
    launch(main, saved=("workdir", "module"))
