"""Sequential uniform design."""


class StudyZoom:
    pass
