"""The part of a report that moves: particles over a time slider, beside the curves of their run.

    Scene     what moves: quantised places at a few times, in the drawn coordinates (`scene`)
    curves    the history as a few hundred numbers (`curves`)
    exhibits  of both, one page's worth: HTML, style and program, all inside the page (`exhibits`)

The program is plain JavaScript in the .js files beside this one, joined in the order of their names' list; it loads
nothing. Without it a page is what it was: text, tables and pictures. Bad at: more than three features, of which it
shows two principal components, as the pictures do.
"""

from proxflow.browser.exhibits import Exhibit, Moving, Part, moving_part, payload, stylesheet
from proxflow.browser.scene import Backdrop, Scene

__all__ = ["Backdrop", "Exhibit", "Moving", "Part", "Scene", "moving_part", "payload", "stylesheet"]
